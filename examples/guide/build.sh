#!/bin/sh
# Builds the guide, with its reference from the headers' comments, as pages in build/site/: open build/site/index.html.
# Installs what is missing: doxygen, and MkDocs in a virtual environment in build/guide-venv. A warning is an error.
set -eu
cd "$(dirname "$0")/../.."

sh cmake/install_packages.sh doxygen python3 python3-venv
venv=build/guide-venv
if ! cmp -s examples/guide/requirements.txt "$venv/installed.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r examples/guide/requirements.txt
  cp examples/guide/requirements.txt "$venv/installed.txt"
fi

python3 cmake/check_guide.py
python3 examples/guide/make_pages.py build/guide
cp examples/guide/guide.css examples/guide/iframe-worker.js build/guide/pages/
(cd examples/guide && "../../$venv/bin/python" -m mkdocs build --strict --quiet)  # where snippets are looked for
echo "build/site/index.html"

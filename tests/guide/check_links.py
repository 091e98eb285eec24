#!/usr/bin/env python3
"""Checks the links of the built site: that every file and every anchor that a page names is there.

    check_links.py SITE [--external]

Nothing may be loaded from elsewhere (scripts, styles, images, frames); links to other sites may be followed by readers,
and `--external` lists them. `--self-test` checks the checker.
"""

import html.parser
import pathlib
import sys
import tempfile
import urllib.parse

LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("object", "data")}


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[key] for key in ("id", "name") if values.get(key)}
        for key in ("href", "src", "data", "xlink:href"):
            if values.get(key) and tag != "link" or (tag, key) in LOADED and values.get(key):
                if values.get("rel") not in ("canonical", "prev", "next"):
                    (self.loaded if (tag, key) in LOADED else self.links).append(values[key])


def check(site):
    """(number of pages, list of offences, set of external links)"""
    site = site.resolve()
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    offences, external = [], set()
    for path, page in pages.items():
        where = path.relative_to(site).as_posix()
        if where == "404.html":  # for web servers: its links begin at their root
            continue
        for target, is_loaded in [(link, False) for link in page.links] + [(link, True) for link in page.loaded]:
            url = urllib.parse.urlsplit(target)
            if url.scheme in ("http", "https") or url.netloc:
                external.add(target)
                if is_loaded:
                    offences.append(f"{where}: loads {target} from elsewhere")
                continue
            if url.scheme:  # data:, javascript:, mailto:
                continue
            file = (path.parent / urllib.parse.unquote(url.path)).resolve() if url.path else path
            if not file.is_file():
                offences.append(f"{where}: there is no {target}")
            elif url.fragment and file.suffix == ".html":
                if urllib.parse.unquote(url.fragment) not in pages[file].anchors and url.fragment != "__skip":
                    offences.append(f"{where}: there is no anchor {target}")
    return len(pages), offences, external


def self_test():
    for text, expected in [
        ('<h2 id="x">A</h2><a href="b.html#y">b</a><a href="#x">x</a><a href="https://example.org">e</a>', None),
        ('<a href="c.html">c</a>', "a.html: there is no c.html"),
        ('<a href="b.html#z">b</a>', "a.html: there is no anchor b.html#z"),
        ('<script src="https://example.org/x.js"></script>', "a.html: loads https://example.org/x.js"),
        ('<img src="none.png">', "a.html: there is no none.png"),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            site = pathlib.Path(folder)
            (site / "a.html").write_text(text)
            (site / "b.html").write_text('<p id="y"></p>')
            count, offences, _ = check(site)
        assert count == 2 and bool(offences) == bool(expected), (text, offences)
        assert not expected or offences[0].startswith(expected), (text, offences)


def main():
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    count, offences, external = check(pathlib.Path(sys.argv[1]))
    print("\n".join(offences[:200]))
    if "--external" in sys.argv:
        print("\n".join(sorted(external)))
    print(f"{count} pages, {len(external)} external links, {len(offences)} offences")
    return 1 if offences or not count else 0


if __name__ == "__main__":
    sys.exit(main())

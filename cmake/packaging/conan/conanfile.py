"""Conan 2 recipe of rapt, of the checkout that it lies in:

    conan create cmake/packaging/conan -s compiler.cppstd=20 --build=missing

The option of a part brings what the part needs, under ConanCenter's names, and its CMake target: rapt::io, and so on.
The headers are the same whatever the options say.
"""

import pathlib
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy
from conan.tools.layout import basic_layout

required_conan_version = ">=2.0"

REQUIREMENTS = {  # of a part: the packages, and what the part links of them
    "io": {"nlohmann_json/[>=3.10 <4]": "nlohmann_json::nlohmann_json"},
    "text": {"utf8proc/[>=2.5 <3]": "utf8proc::utf8proc", "pcre2/[>=10.36 <11]": "pcre2::pcre2-8"},
    "images": {"libpng/[>=1.6 <2]": "libpng::libpng", "zlib/[>=1.2.11 <2]": "zlib::zlib"},
    "mpi": {"openmpi/[>=4.1 <6]": "openmpi::openmpi"},
}


class RaptConan(ConanFile):
    name = "rapt"
    description = "Header-only C++20 tensor and Transformer library on Eigen"
    license = "MIT"
    topics = ("transformer", "deep-learning", "autograd", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {part: [True, False] for part in REQUIREMENTS}
    default_options = {"io": True, "text": True, "images": True, "mpi": False}
    no_copy_source = True

    @property
    def _checkout(self):
        return pathlib.Path(self.recipe_folder).resolve().parents[2]

    def set_version(self):
        text = (self._checkout / "include/rapt/version.hpp").read_text(encoding="utf-8")
        self.version = ".".join(re.findall(r"^#define RAPT_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", text, re.MULTILINE))

    def export_sources(self):
        for pattern in ("include/rapt/*.hpp", "include/rapt/*.hpp.py", "LICENSE"):
            copy(self, pattern, self._checkout, self.export_sources_folder)

    def layout(self):
        basic_layout(self)

    def requirements(self):
        self.requires("eigen/3.4.0", transitive_headers=True)
        for part, packages in REQUIREMENTS.items():
            if self.options.get_safe(part):
                for package in packages:
                    self.requires(package, transitive_headers=True, transitive_libs=True)

    def package_id(self):
        self.info.clear()

    def validate(self):
        check_min_cppstd(self, 20)

    def package(self):
        copy(self, "LICENSE", self.source_folder, pathlib.Path(self.package_folder) / "licenses")
        include = pathlib.Path(self.source_folder) / "include"
        for pattern in ("*.hpp", "*.hpp.py"):
            copy(self, pattern, include, pathlib.Path(self.package_folder) / "include")

    def _component(self, name, requires):
        """The part as the target rapt::<name> and as the pkg-config module rapt-<name>; rapt::rapt is rapt.pc."""
        component = self.cpp_info.components[name]
        component.set_property("cmake_target_name", f"rapt::{name}")
        component.set_property("pkg_config_name", "rapt" if name == "rapt" else f"rapt-{name}")
        component.bindirs, component.libdirs, component.requires = [], [], requires
        return component

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "rapt")
        self.cpp_info.set_property("cmake_target_name", "rapt::all")  # the core alone is rapt::rapt, as without Conan
        self.cpp_info.set_property("pkg_config_name", "rapt-all")
        core = self._component("rapt", ["eigen::eigen"])
        if self.settings.os in ("Linux", "FreeBSD"):
            core.system_libs = ["pthread"]
        self._component("onnx", ["rapt"])
        for part, packages in REQUIREMENTS.items():
            if self.options.get_safe(part):
                self._component(part, ["rapt", *packages.values()])
        if self.options.mpi:  # without the C++ bindings that MPI has given up
            self.cpp_info.components["mpi"].defines = ["OMPI_SKIP_MPICXX", "MPICH_SKIP_MPICXX"]
        if self.options.io:
            self._component("pretrained", ["io", "text"] if self.options.text else ["io"])
            if self.options.text:
                self._component("pipelines", ["pretrained", "text"])

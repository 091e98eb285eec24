/// \file
/// Lets gdb print rapt's tensors, shapes, row splits, variables and parameters readably. A program that includes this
/// header in one of its files names gdb the script beside it, gdb_printers.hpp.py. gdb loads the script with the
/// program if it may: it tells the line for ~/.gdbinit, as in `add-auto-load-safe-path /usr/include/rapt`. Without
/// this header, `source /usr/include/rapt/core/gdb_printers.hpp.py` does the same for any program.
///
/// The header costs nothing at run time and does nothing where programs are not ELF files.
#pragma once

#include "rapt/version.hpp"

#if defined(__ELF__)
// An entry of the section that gdb looks up (its manual, "The .debug_gdb_scripts section"): 1, a file in Python.
__asm__(
    ".pushsection \".debug_gdb_scripts\", \"MS\",%progbits,1\n"
    ".byte 1\n"
    ".asciz \"" __FILE__
    ".py\"\n"
    ".popsection\n");
#endif

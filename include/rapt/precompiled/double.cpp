// A source of rapt::precompiled: everything in instances.hpp, for double.
#include "rapt/rapt.hpp"

#define RAPT_INSTANCE template
#define RAPT_SCALAR double
#include "rapt/precompiled/instances.hpp"

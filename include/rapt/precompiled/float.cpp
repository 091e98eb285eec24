// A source of rapt::precompiled: everything in instances.hpp, for float.
#include "rapt/rapt.hpp"

#define RAPT_INSTANCE template
#define RAPT_SCALAR float
#include "rapt/precompiled/instances.hpp"

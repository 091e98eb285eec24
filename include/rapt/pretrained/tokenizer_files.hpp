/// \file
/// The files of pretrained tokenizers, read (load_tokenizer.hpp) and written (save_tokenizer.hpp).
#pragma once

#include "rapt/pretrained/load_tokenizer.hpp"
#include "rapt/pretrained/save_tokenizer.hpp"

/// \file
/// Models as ONNX graphs (https://onnx.ai), for runtimes that read them: `rapt::onnx::export_onnx(model, folder)` for
/// each model of models/.
#pragma once

#include "rapt/onnx/beit.hpp"
#include "rapt/onnx/bert.hpp"
#include "rapt/onnx/causal_decoder.hpp"
#include "rapt/onnx/clip.hpp"
#include "rapt/onnx/encoder_decoder.hpp"
#include "rapt/onnx/image_gpt.hpp"
#include "rapt/onnx/mae.hpp"
#include "rapt/onnx/modern_bert.hpp"
#include "rapt/onnx/transformer_xl.hpp"
#include "rapt/onnx/vit.hpp"
#include "rapt/onnx/whisper.hpp"

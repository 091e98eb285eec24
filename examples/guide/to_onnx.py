import numpy as np
import onnxruntime

encoder = onnxruntime.InferenceSession("reverser-onnx/encoder_model.onnx")
decoder = onnxruntime.InferenceSession("reverser-onnx/decoder_model.onnx")
source, target = np.array([[3, 5, 7, 9, 11, 13, 2]]), [1]  # 2 ends a sequence, 1 begins one
mask = np.ones_like(source)
[hidden] = encoder.run(["last_hidden_state"], {"input_ids": source, "attention_mask": mask})
while target[-1] != 2 and len(target) < 20:
    inputs = {"input_ids": np.array([target]), "encoder_hidden_states": hidden, "encoder_attention_mask": mask}
    [logits] = decoder.run(["logits"], inputs)
    target.append(int(logits[0, -1].argmax()))
print(*target[1:-1], "is the reverse of 3 5 7 9 11 13")

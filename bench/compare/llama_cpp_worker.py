"""llama.cpp's side of weights.py, by the package xllamacpp: one JSON object a line, answered by another.

  open      model (a GGUF file), threads, context
  generate  prompt, new_tokens                      greedy: the text
"""

import json
import sys

import xllamacpp


class Task:
    def open(self, model, threads, context):
        parameters = xllamacpp.CommonParams()
        parameters.model.path = model
        parameters.n_ctx = context
        parameters.n_parallel = 1
        parameters.warmup = True
        parameters.cpuparams.n_threads = threads
        parameters.cpuparams_batch.n_threads = threads
        parameters.sampling.temp = 0
        self.server = xllamacpp.Server(parameters)
        return {}

    def generate(self, prompt, new_tokens):
        found = self.server.handle_completions(
            {"prompt": prompt, "n_predict": new_tokens, "temperature": 0, "ignore_eos": True, "cache_prompt": False,
             "top_k": 1})
        found = found if isinstance(found, dict) else json.loads(found)
        return {"text": found["choices"][0]["text"]}


def main():
    task = Task()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(task, command.pop("command"))(**command)
        except Exception as error:  # the other side reads it and stops
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

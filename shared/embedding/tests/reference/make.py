#!/usr/bin/env python3
"""Makes vectors.json: what ONNX Runtime says about texts.json, for tests/agreement.rs to compare with.

usage: make.py MODEL_DIR     (a folder of all-MiniLM-L6-v2)
needs: pip install onnxruntime onnx numpy safetensors tokenizers

The graph is built here from the weights out of standard ONNX operators, and fed one text at a time: no padding,
no mask, no code shared with the crate under test but the tokenizer's vocabulary file.
"""

import base64
import hashlib
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).parent


class Graph:
    """ONNX nodes in the order in which they are added; every method returns the name of its result."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], {}

    def op(self, kind, *inputs, **attributes):
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, name, value):
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def weight(self, name):
        return self.constant(name, self.weights[name])

    def linear(self, x, name):
        weight = self.constant(f"{name}.weight", self.weights[f"{name}.weight"].T)
        return self.op("Add", self.op("MatMul", x, weight), self.weight(f"{name}.bias"))

    def norm(self, x, name, epsilon):
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)


def build(model_dir):
    config = json.loads((model_dir / "config.json").read_text())
    assert config["hidden_act"] == "gelu"
    hidden, heads, epsilon = config["hidden_size"], config["num_attention_heads"], config["layer_norm_eps"]
    g = Graph(load_file(model_dir / "model.safetensors"))
    head_shape = g.constant("head_shape", np.array([-1, heads, hidden // heads]))
    flat_shape = g.constant("flat_shape", np.array([-1, hidden]))
    scale = g.constant("scale", np.float32((hidden // heads) ** -0.5))

    words = g.op("Gather", g.weight("embeddings.word_embeddings.weight"), "ids")
    places = g.op("Gather", g.weight("embeddings.position_embeddings.weight"), "positions")
    kind = g.constant("kind", g.weights["embeddings.token_type_embeddings.weight"][0])
    x = g.norm(g.op("Add", g.op("Add", words, places), kind), "embeddings.LayerNorm", epsilon)
    for i in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}"
        query, key, value = (
            g.op("Transpose", g.op("Reshape", g.linear(x, f"{layer}.attention.self.{part}"), head_shape), perm=perm)
            for part, perm in (("query", [1, 0, 2]), ("key", [1, 2, 0]), ("value", [1, 0, 2]))
        )
        weights = g.op("Softmax", g.op("Mul", g.op("MatMul", query, key), scale), axis=-1)
        seen = g.op("Reshape", g.op("Transpose", g.op("MatMul", weights, value), perm=[1, 0, 2]), flat_shape)
        attended = g.op("Add", g.linear(seen, f"{layer}.attention.output.dense"), x)
        attended = g.norm(attended, f"{layer}.attention.output.LayerNorm", epsilon)
        wide = g.op("Gelu", g.linear(attended, f"{layer}.intermediate.dense"), approximate="none")
        x = g.norm(g.op("Add", g.linear(wide, f"{layer}.output.dense"), attended), f"{layer}.output.LayerNorm", epsilon)

    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["tokens"]) for name in ("ids", "positions")]
    output = helper.make_tensor_value_info(x, TensorProto.FLOAT, ["tokens", hidden])
    graph = helper.make_graph(g.nodes, "bert", inputs, [output], list(g.constants.values()))
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 20)])
    onnx.checker.check_model(model)
    return model


def main():
    model_dir = pathlib.Path(sys.argv[1])
    session = onnxruntime.InferenceSession(build(model_dir).SerializeToString(), providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(json.loads((model_dir / "sentence_bert_config.json").read_text())["max_seq_length"])

    tokens, vectors = [], []
    for text in json.loads((HERE / "texts.json").read_text()):
        ids = np.array(tokenizer.encode(text).ids)
        hidden = session.run(None, {"ids": ids, "positions": np.arange(len(ids))})[0]
        mean = hidden.astype(np.float64).mean(axis=0)
        vector = (mean / np.linalg.norm(mean)).astype("<f4")
        tokens.append(len(ids))
        vectors.append(base64.b64encode(vector.tobytes()).decode())

    made = {
        "made_with": f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}",
        "weights_sha256": hashlib.sha256((model_dir / "model.safetensors").read_bytes()).hexdigest(),
        "tokens": tokens,
        "vectors": vectors,
    }
    (HERE / "vectors.json").write_text(json.dumps(made, indent=1) + "\n")
    print(f"{len(vectors)} vectors, {min(tokens)} to {max(tokens)} tokens")


if __name__ == "__main__":
    main()

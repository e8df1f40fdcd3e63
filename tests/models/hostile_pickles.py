"""Pickles that no checkpoint needs: their operations, and what a refusal says."""

from .checkpoints import ORDERED, REBUILD, storage, table, tensor, value


def call(name: str, arguments: bytes) -> bytes:
    return b"c" + name.replace(" ", "\n").encode() + b"\n" + arguments + b"R"


FLOATS = storage("0", "Float", 4)
TRACE = "trace"
HOSTILE = {
    "os.system": (call("os system", value((f"touch {TRACE}",))), "asks for os.system"),
    "eval": (call("builtins eval", value(("1",))), "asks for builtins.eval"),
    "python 2": (call("__builtin__ eval", value(("1",))), "asks for __builtin__.eval"),
    "getattr": (
        call("builtins getattr", b"(" + REBUILD + value("__globals__") + b"t"),
        "asks for builtins.getattr",
    ),
    "dotted": (
        call("torch._utils _rebuild_tensor_v2.__globals__", b")"),
        "asks for torch._utils._rebuild_tensor_v2.__globals__",
    ),
    "by the stack": (
        value("os") + value("system") + b"\x93" + value(("true",)) + b"R",
        "asks for os.system",
    ),
    "instance": (b"(" + value("true") + b"ios\nsystem\n", "the operation INST"),
    "new": (ORDERED[:-2] + b")\x81", "the operation NEWOBJ"),
    "extension 1": (b"\x82\x01", "the operation EXT1"),
    "extension 2": (b"\x83\x01\x01", "the operation EXT2"),
    "extension 4": (b"\x84\x01\x01\x01\x01", "the operation EXT4"),
    "call of a value": (value("a") + b")R", "calls a str"),
    "call of a kind": (b"ctorch\nFloatStorage\n)R", "calls a _Kind"),
    "call without a tuple": (ORDERED[:-2] + value([1]) + b"R", "calls a function"),
    "attributes": (ORDERED + value({"items": 1}) + b"b", "sets attributes of a dict"),
    "slots": (REBUILD + value((None, {"__code__": 1})) + b"b", "attributes of a func"),
    "kind": (b"ctorch\nFloatStorage\n" + value({}) + b"b", "attributes of a _Kind"),
    "items of a tensor": (
        tensor(FLOATS, (4,), (1,)) + value("a") + b"Ns",
        "sets items of a Tensor",
    ),
    "appended": (ORDERED + b"Na", "appends to a dict"),
    "persistent id": (value("storage") + b"Q", "refers to something"),
    "persistent text": (b"P0\n", "the operation PERSID"),
    "persistent length": (FLOATS[:-2] + b"NtQ", "refers to something"),
    "module": (
        FLOATS.replace(value("storage"), value("module")),
        "refers to something",
    ),
    "storage of no kind": (value(("storage", 1, "0", "cpu", 4)) + b"Q", "refers to"),
    "storage of no key": (
        FLOATS.replace(value("0"), value(0)),
        "storage without a key",
    ),
    "storage below 0": (storage("0", "Float", -4), "storage without a key and a size"),
    "no arguments": (REBUILD + b")R", "damaged pickle.*missing 4"),
    "no storage": (tensor(value("a"), (4,), (1,)), "tensor without a storage"),
    "no shape": (tensor(FLOATS, 4, 1), "tensor without"),  # type: ignore[arg-type]
    "ragged": (tensor(FLOATS, (2, 2), (1,)), "tensor without"),
    "fraction": (REBUILD + b"(" + FLOATS + value(("a",)) * 4 + b"tR", "tensor without"),
    "negative": (tensor(FLOATS, (2,), (-1,), 3), "tensor without"),
    "vast": (tensor(FLOATS, (2**60,), (1,)), "tensor without"),
    "vast emptiness": (tensor(FLOATS, (0, 2**39, 2**39), (0, 0, 0)), "beyond"),
    "many sides": (tensor(FLOATS, (1,) * 9, (1,) * 9), "tensor without"),
    "too large": (tensor(FLOATS, (5,), (1,)), r"shape \(5,\) is beyond.*4 elements"),
    "repeated": (tensor(FLOATS, (2**20,), (0,)), "beyond the bounds"),
    "strides": (tensor(FLOATS, (2, 2), (3, 1)), "beyond the bounds"),
    "offset": (tensor(FLOATS, (1,), (1,), 4), "beyond the bounds"),
    "negated": (
        tensor(FLOATS, (4,), (1,))[:-2] + value({"neg": True}) + b"tR",
        "values are not those of its storage",
    ),
    "parameter": (call("torch._utils _rebuild_parameter", value((1,))), "no tensor"),
    "tuple key": (table({(1, 2): b"N"}), "not a string but a tuple"),
    "key of pairs": (
        call("collections OrderedDict", value(([[(1,), 2]],))),
        "key that is not a string",
    ),
    "memo": (b"Nj\xff\xff\xff\x7f", "damaged pickle"),
    "stack": (b"0", "the operation POP"),
    "empty stack": (b"R", "damaged pickle"),
    "no mark": (b"t", "damaged pickle"),
    "length": (b"\x8e" + b"\xff" * 7 + b"\x7f", "damaged pickle"),
    "nothing": (b"}", "holds no tensors"),
    "list": (b"]", "no state dict but a list"),
    "number key": (table({3: tensor(FLOATS, (4,), (1,))}), "not a string.*: 3"),
    "escape key": (table({"\x1b[2J": value(1)}), "not a string"),
    "no tensor": (table({"w": value(3)}), "w is no tensor but a int"),
    "holds itself": (
        b"}q\x00(" + value("model") + b"h\x00u",
        "more than 4 dictionaries deep",
    ),
    # A list written once, and handed over again and again.
    "long calls": (
        value(([["a", 1]] * 50,))
        + b"q\x00("
        + (b"ccollections\nOrderedDict\nh\x00R") * 100
        + b"t",
        "calls with more items than it has bytes",
    ),
    "two": (
        table({"state_dict": b"}", "model": b"}"}),
        "has state_dict and model: save the one",
    ),
}

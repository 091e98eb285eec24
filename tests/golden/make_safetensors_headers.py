"""Writes safetensors_headers.json: headers, good and bad, and what Python's safetensors makes of each, for
tests/io/safetensors_header_test.cpp.

Needs safetensors 0.8: python3 make_safetensors_headers.py
"""

import json
import pathlib
import struct
import tempfile

from safetensors import deserialize, safe_open

TENSOR = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
cases = []


def add(header, data_bytes=0, rapt="same"):
    """`rapt` is "stricter" or "lenient" where the reader must differ from Python's."""
    header = header if isinstance(header, bytes) else header.encode()
    data = bytes(data_bytes)
    case = {"header": header.hex(), "data_bytes": data_bytes}
    try:
        tensors = deserialize(struct.pack("<Q", len(header)) + header + data)
        case["tensors"] = sorted([name, tensor["dtype"], tensor["shape"]] for name, tensor in tensors)
        with tempfile.NamedTemporaryFile() as file:
            file.write(struct.pack("<Q", len(header)) + header + data)
            file.flush()
            with safe_open(file.name, "np") as opened:
                case["metadata"] = opened.metadata() or {}
        assert rapt != "lenient", header
    except Exception:
        assert rapt != "stricter", header
    if rapt != "same":
        case["rapt"] = rapt
    cases.append(case)


def add_tensor(tensor, data_bytes=4, rapt="same"):
    add('{"a":' + tensor + "}", data_bytes, rapt)


def fields(dtype="F32", shape="[1]", offsets="[0,4]"):
    return '{"dtype":"%s","shape":%s,"data_offsets":%s}' % (dtype, shape, offsets)


# White space, and what is none.
for header in (b"{}", b"\t\n{}\r ", b" {}", b"\r{}", b"\t{}\t", b"{}\n", b"{}\r\n", b"\n\n{ \t}\n", b"{}\0", b"\0{}",
               b"{}\x0b", b"\x0b{}", b"{}\x0c", b"\x0c{}", b"\xc2\xa0{}", b"{}\xc2\xa0", b"\xef\xbb\xbf{}",
               b" \xef\xbb\xbf{}", b"", b" ", b"\n\t", b"null", b" null", b"[]", b" []", b"1", b'"x"', b"{} x", b"{}{}",
               b"{/**/}", b"{,}", b"{", b" {", b"}", b"x{}"):
    add(header)
add(b'\n{ "a"\t:\r' + TENSOR.replace(",", " ,\n").encode() + b"}   ", 4)

# A tensor's value.
for tensor in ("null", "1", "true", "[]", '"F32"', "{}", '{"dtype":"F32"}', '{"dtype":"F32","shape":[1]}',
               '{"data_offsets":[0,4],"shape":[1],"dtype":"F32"}',
               '{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}',
               '{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}',
               '{"dtype":null,"shape":[1],"data_offsets":[0,4]}', '{"dtype":3,"shape":[1],"data_offsets":[0,4]}',
               fields("F\\u00332")):
    add_tensor(tensor)
for more in ('"more":1', '"more":null', '"more":-1.5e3,"and":true', '"more":"text"', '"more":{}', '"more":[]',
             '"more":[[{"dtype":"I8","shape":[[2]],"data_offsets":null}],{"x":[{}]}]', '"more":{"dtype":1},"more":2',
             '"__metadata__":{"a":1}', '"Dtype":"F64"', '"":0'):
    add_tensor(TENSOR[:-1] + "," + more + "}")
    add_tensor("{" + more + "," + TENSOR[1:])
add_tensor('{"more":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}')
add_tensor(TENSOR[:-1] + ',"more":}')
add_tensor(TENSOR[:-1] + ',"more":[1}')
# Forms that no writer has but Python's reader takes from its library for JSON.
add_tensor('["F32",[1],[0,4]]', rapt="stricter")
add_tensor('{"dtype":{"F32":null},"shape":[1],"data_offsets":[0,4]}', rapt="stricter")

# Sizes and offsets.
for shape in ("null", "1", '"1"', "{}", "[1.0]", "[1e0]", "[-1]", "[-0]", "[01]", "[+1]", '["1"]', "[true]", "[null]",
              "[[1]]", "[1,]", "[]", "[1,1,1,1,1,1]", "[2]", "[0]", "[18446744073709551615]", "[18446744073709551616]",
              "[4294967296,4294967296,4]", "[4611686018427387905]"):
    add_tensor(fields(shape=shape))
for offsets in ("null", "4", '"4"', "[]", "[0]", "[0,4,4]", "[0,4,]", "[-0,4]", "[0.0,4]", "[0,4.0]", "[-4,0]", "[4,0]",
                '{"0":0,"1":4}', "[0,5]", "[1,5]", "[0,3]", "[18446744073709551612,18446744073709551616]"):
    add_tensor(fields(offsets=offsets))
add_tensor(fields(shape="[0]", offsets="[0,0]"), 0)
add_tensor(fields(shape="[5,0,7]", offsets="[0,0]"), 0)
add_tensor(fields(shape="[-0]", offsets="[0,0]"), 0)
add_tensor(fields(shape="[0]", offsets="[4,0]"), 4)
add_tensor(fields(shape="[0,18446744073709551615]", offsets="[0,0]"), 0, rapt="stricter")  # no Index counts so many

# Types: names, and types of less than a byte, which must fill whole bytes.
for dtype, bits in {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
                    "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
                    "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64, "U64": 64}.items():
    for elements in (1, 2, 3, 4, 5, 8, 9, 0):
        size = elements * bits // 8
        add_tensor(fields(dtype, f"[{elements}]", f"[0,{size}]"), size)
    add_tensor(fields(dtype, "[8]", f"[0,{bits + 1}]"), bits + 1)
    add_tensor(fields(dtype, "[8]", f"[0,{bits - 1}]"), bits - 1)
for dtype in ("F31", "f32", "bool", "F8_E4M3FN", "C128", "F4_E2M1FN_X2", "U4", "I128", "F32 ", "\\u0416", ""):
    add_tensor(fields(dtype, "[8]", "[0,5]"), 5, rapt="lenient")
    add_tensor(fields(dtype, "[8]", "[0,6]"), 5)
    add_tensor(fields(dtype, "[8]", "[0,4]"), 5)
    add_tensor(fields(dtype, "[8]", "[1,5]"), 5)
    add_tensor(fields(dtype, "[4611686018427387904,4]", "[0,5]"), 5)
    add_tensor(fields(dtype, "[-1]", "[0,5]"), 5)

# Metadata.
for metadata in ("null", "{}", '{"a":"b"}', '{"a":"b","c":""}', '{"a":"b","a":"c"}', '{"a":1}', '{"a":null}',
                 '{"a":true}', '{"a":{}}', '{"a":["b"]}', "[]", '"x"', "false", "0", "nul", '{"a":"b"},"__metadata__":{}',
                 'null,"__metadata__":null', 'null,"__metadata__":{"a":"b"}', '{"a":"b"},"__metadata__":null'):
    add('{"__metadata__":' + metadata + "}")
    add('{"__metadata__":' + metadata + ',"a":' + TENSOR + "}", 4)
    add('{"a":' + TENSOR + ',"__metadata__":' + metadata + "}", 4)

# Names.
for name in (b"", b"a\\u0000", b"\\ud83d\\ude00", b"\\ud800", b"\xff", b"a\nb", b"a\x7fb", b"\xc0\x80", b"a\\qb", b"__Metadata__"):
    add(b'{"' + name + b'":' + TENSOR.encode() + b"}", 4)
add('{"a":%s,"a":%s}' % (TENSOR, TENSOR), 4, rapt="stricter")  # a file that means two things
add('{"a":%s,"a":%s}' % (TENSOR, fields(offsets="[4,8]")), 8)

# Layout.
def extents(*pairs):
    tensors = ['"%s":%s' % (chr(97 + i), fields("U8", f"[{end - begin}]", f"[{begin},{end}]"))
               for i, (begin, end) in enumerate(pairs)]
    return "{" + ",".join(tensors) + "}"


for pairs in ([(0, 8)], [(4, 8), (0, 4)], [(0, 4)], [(4, 8)], [(0, 4), (3, 8)], [(0, 4), (5, 8)], [(0, 8), (2, 2)],
              [(0, 8), (8, 8), (8, 8)], [(0, 8), (0, 0)], [(0, 8), (0, 8)], [(9, 9)], [(0, 9)], []):
    add(extents(*pairs), 8)

path = pathlib.Path(__file__).with_name("safetensors_headers.json")
path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
print(len(cases), "cases,", sum("tensors" in case for case in cases), "read")

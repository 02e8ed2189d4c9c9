#!/bin/bash
# python-osc sends NumPy's float64 and refuses its float32, integers and booleans.
#
# Versions:   python-osc 1.10.2, numpy 2.4.6
# Behaviour:  the type of an argument is inferred by Python's own types. float64 is a subclass of float and is sent, in 32
#             bits; float32, which networks return, raises ValueError, alone and in a list. A type that is told
#             (ARG_TYPE_FLOAT) is sent.
# Seen:       the weight 0.5 in four NumPy types.
# Why:        code that was tried with weights of float64 fails with those of a network, whose size on the wire is the same.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check python-osc==1.10.2 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder


def sent(value: object, kind: str | None = None) -> object:
    builder = OscMessageBuilder("/jawOpen")
    try:
        builder.add_arg(value, kind)
    except ValueError as error:
        return f"ValueError: {error}"
    return OscMessage(builder.build().dgram).params


results = {kind.__name__: sent(kind(0.5)) for kind in (np.float64, np.float32, np.int64, np.bool_)}
results["float32, told"] = sent(np.float32(0.5), OscMessageBuilder.ARG_TYPE_FLOAT)
for name, result in results.items():
    print(f"{name:14} {result}")
assert results["float64"] == results["float32, told"] == [0.5], "float64, or a told type, is not sent any more"
refused = [name for name, result in results.items() if isinstance(result, str)]
assert refused == ["float32", "int64", "bool"], f"python-osc refuses others now: {refused}"
PYTHON

"""Calls of the functions of `keras.ops` that layers are made of: one row each."""

import numpy as np

from tests.api.ops_case import Case, bools, floats

F, H = floats(3, 4), floats(4)
P = floats(3, 4, low=0.1, high=3.0)
B = bools(3, 4)
IMAGE, KERNEL = floats(2, 8, 7, 3), floats(3, 2, 3, 4)

CASES = [
    Case("softmax", (floats(2, 3, 4),), {"axis": (1, 2)}),
    Case("softmax", (F,), {"axis": 0}),
    Case("log_softmax", (F,), {"axis": 0}, 2e-6),
    Case("glu", (F,)),
    Case("gelu", (F,), {"approximate": False}, 2e-6),
    Case("threshold", (F, 0.5, -1.0)),
    Case("elu", (F,), {"alpha": 0.5}),
    *[
        Case("one_hot", (np.array([1, -1, 3, 0], "int32"), 4), k)
        for k in ({}, {"axis": 0}, {"dtype": "int32"})
    ],
    Case("multi_hot", (np.array([[1, 2], [3, 0]], "int32"), 4)),
    Case("multi_hot", (np.array([1, 2], "int32"), 4)),
    *[
        Case("categorical_crossentropy", (np.eye(4, dtype="float32")[:3], x), {"from_logits": f})
        for x, f in [(P, False), (F, True)]
    ],
    *[
        Case("sparse_categorical_crossentropy", (t, x), {"from_logits": f})
        for t in (np.array([0, 3, 2], "int32"), np.array([[0], [3], [2]], "int64"))
        for x, f in [(P, False), (F, True)]
    ],
    *[
        Case("binary_crossentropy", (B.astype("float32"), x), {"from_logits": f})
        for x, f in [(P / 3.1, False), (F, True)]
    ],
    Case("normalize", (F,)),
    Case("normalize", (F,), {"axis": 0, "order": 1}),
    Case("normalize", (F,), {"order": 3}, 1e-5),
    Case("batch_normalization", (F, H, P[0], 1), {"offset": H, "scale": H}, 5e-6),
    Case("batch_normalization", (F, H, P[0], -1), {}, 5e-6),
    Case("layer_normalization", (F, H, H), {}, 1e-5),
    Case(
        "layer_normalization",
        (floats(2, 3, 4), None, None),
        {"axis": (1, 2), "epsilon": 1e-3},
        1e-5,
    ),
    Case("rms_normalization", (F, H), {}, 1e-5),
    *[
        Case("conv", (IMAGE, KERNEL), {"strides": s, "padding": p, "dilation_rate": d}, 2e-5)
        for s, p, d in [(1, "valid", 1), (2, "same", 1), (1, "same", 2), ((2, 1), "valid", (1, 2))]
    ],
    Case(
        "conv",
        (IMAGE.transpose(0, 3, 1, 2).copy(), KERNEL),
        {"data_format": "channels_first", "padding": "same"},
        2e-5,
    ),
    Case("conv", (floats(2, 9, 4), floats(3, 2, 6)), {"strides": 2}, 2e-5),
    Case("depthwise_conv", (IMAGE, floats(3, 2, 3, 2)), {"padding": "same"}, 2e-5),
    Case("separable_conv", (IMAGE, floats(3, 2, 3, 2), floats(1, 1, 6, 5)), {}, 5e-5),
    *[
        Case(
            "conv_transpose",
            (floats(2, 4, 5, 3), floats(3, 2, 6, 3)),
            {"strides": s, "padding": p, "output_padding": o, "dilation_rate": d},
            2e-5,
        )
        for s, p, o, d in [
            (1, "valid", None, 1),
            (2, "same", None, 1),
            (2, "valid", None, 1),
            (2, "same", 1, 1),
            (3, "valid", 1, 1),
            (1, "same", None, 2),
        ]
    ],
    *[
        Case(n, (IMAGE, w), {"strides": s, "padding": p}, 2e-6)
        for n in ("max_pool", "average_pool")
        for w, s, p in [(2, 2, "valid"), ((3, 2), 2, "same"), (2, 1, "same")]
    ],
    Case("max_pool", (IMAGE, 2, 2), {"data_format": "channels_first"}),
    Case("average_pool", (floats(2, 9, 4), 3), {"padding": "same", "strides": 2}),
    Case(
        "dot_product_attention",
        (floats(2, 3, 2, 4), floats(2, 5, 2, 4), floats(2, 5, 2, 4)),
        {},
        1e-5,
    ),
    Case(
        "dot_product_attention",
        (floats(2, 3, 2, 4), floats(2, 3, 2, 4), floats(2, 3, 2, 4)),
        {"is_causal": True, "scale": 0.3},
        1e-5,
    ),
    Case(
        "dot_product_attention",
        (floats(2, 3, 2, 4), floats(2, 5, 2, 4), floats(2, 5, 2, 4)),
        {"bias": floats(2, 2, 3, 5), "mask": np.tril(np.ones((1, 1, 3, 5), bool))},
        1e-5,
    ),
    *[
        Case(n, (floats(2, 7, 9, 3), size), {"data_format": "channels_last"}, 2e-6)
        for n in ("adaptive_average_pool", "adaptive_max_pool")
        for size in (3, (2, 4))
    ],
    Case(
        "ctc_loss",
        (
            np.array([[1, 2, 2, 0], [3, 1, 0, 0], [1, 1, 3, 2]], "int32"),
            floats(3, 9, 4),
            np.array([3, 2, 4], "int32"),
            np.array([9, 7, 9], "int32"),
        ),
        {},
        1e-4,
    ),
    *[
        Case(
            "ctc_decode",
            (floats(3, 9, 4), np.array([9, 7, 5], "int32")),
            {"merge_repeated": m, "mask_index": 0},
            1e-5,
        )
        for m in (True, False)
    ],
    Case("psnr", (P, P + 0.1, 2.0), {}, 1e-5),
]

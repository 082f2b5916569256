"""Calls of the functions of `keras.ops` that are about arrays: one row each."""

import numpy as np

from tests.api.ops_case import Case, bools, floats, ints

F, G, H = floats(3, 4), floats(3, 4), floats(4)
P = floats(3, 4, low=0.1, high=3.0)
U = floats(3, 4, low=-0.99, high=0.99)
K, J = ints(3, 4), ints(3, 4, low=1)
B = bools(3, 4)
N = np.array([[1.0, np.nan, -np.inf, np.inf], [0.0, -0.0, 2.5, -2.5], [np.nan] * 4], "float32")

UNARY = """
absolute abs square sign negative exp exp2 expm1 sin cos tan sinh cosh tanh arctan arcsinh floor
ceil trunc round cbrt deg2rad rad2deg sinc erf isnan isinf isfinite isposinf isneginf signbit
nan_to_num logical_not relu relu6 sigmoid sparse_sigmoid tanh_shrink softplus softsign soft_shrink
sparse_plus silu squareplus log_sigmoid leaky_relu hard_sigmoid hard_silu elu selu celu gelu
hard_tanh hard_shrink softmax log_softmax sum prod max min mean var std any all argmax argmin
count_nonzero logsumexp ravel flip fliplr flipud transpose zeros_like ones_like sort argsort
cumsum cumprod median nansum nanprod nanmax nanmin nanmean fabs copy tril triu diagonal ptp
rot90 squeeze diff
""".split()

MODES = ("valid", "same", "full")

CASES = [
    *[Case(name, (F,), tolerance=2e-6) for name in UNARY],
    *[
        Case(name, (P,))
        for name in "log log2 log10 log1p sqrt rsqrt reciprocal arccosh".split()
        if name != "arccosh"
    ],
    Case("arccosh", (P + 1,)),
    *[Case(name, (U,), tolerance=1e-5) for name in "arcsin arccos arctanh erfinv".split()],
    *[
        Case(name, (K,))
        for name in "absolute square sign negative exp sqrt mean sum prod max var argmax floor "
        "cumsum isnan logical_not bitwise_not sin median round".split()
        if name != "sqrt"
    ],
    Case("sqrt", (J,)),
    *[
        Case(name, (B,))
        for name in "sum prod mean any all max argmax cumsum logical_not exp square "
        "zeros_like count_nonzero sort clip".split()
        if name != "clip"
    ],
    *[
        Case(name, (N,))
        for name in "isnan isinf isfinite nan_to_num relu max min argmax sort argsort nansum "
        "nanmax nanmin nanmean nanstd nanvar nanprod sum mean sign sigmoid tanh round".split()
    ],
    *[
        Case("nan" + name, (N,), {"axis": 1})
        for name in "sum max min mean var argmax argmin".split()
    ],
    *[
        Case(name, (x, y))
        for name in "add subtract multiply divide true_divide floor_divide mod maximum minimum "
        "equal not_equal less less_equal greater greater_equal".split()
        for x, y in [(F, G), (F, H), (F, 2), (2.5, F), (F, K), (K, J), (K, 3), (K, 2.0), (F, B)]
    ],
    *[
        Case(name, (x, y))
        for name in "fmod arctan2 logaddexp hypot fmax fmin".split()
        for x, y in [(F, G)]
    ],
    Case("fmax", (N, F)),
    Case("fmin", (F, N)),
    Case("maximum", (N, F)),
    Case("fmod", (K, J)),
    *[
        Case(name, (x, y))
        for name in ("logical_and", "logical_or", "logical_xor")
        for x, y in [(B, bools(4)), (F, K)]
    ],
    *[Case(name, (K, J)) for name in "bitwise_and bitwise_or bitwise_xor gcd lcm".split()],
    Case("left_shift", (J, 2)),
    Case("right_shift", (K, 1)),
    Case("bitwise_left_shift", (J, J)),
    *[
        Case("power", a)
        for a in [(P, G), (F, 2), (F, 3), (P, 0.5), (P, -1), (K, 3), (2.0, F), (F, np.int32(2))]
    ],
    Case("divide_no_nan", (F, np.array([1, 0, 2, 0], "float32"))),
    Case("clip", (F, -1, 1)),
    Case("clip", (K, -1, 1)),
    Case("clip", (F, -1.0, H)),
    Case("heaviside", (F, 0.5)),
    Case("ldexp", (F, K)),
    Case("nextafter", (F, G)),
    Case("isclose", (F, F + 1e-7)),
    Case("allclose", (F, F)),
    Case("logaddexp2", (F, G)),
    Case("round", (F * 100,), {"decimals": 1}),
    Case("nan_to_num", (N,), {"nan": 3.0, "posinf": 9.0}),
    Case("where", (B, F, G)),
    Case("where", (B, F, 0)),
    Case("where", (B, 1, 2.5)),
    Case("where", (K, F, K)),
    Case("select", ([B, ~B], [F, G], 3.0)),
    *[
        Case(name, (x,), {"axis": axis, "keepdims": keepdims}, 3e-6)
        for name in "sum mean max min prod var std any all logsumexp".split()
        for x in (floats(2, 3, 4),)
        for axis in (1, -1, (0, 2))
        for keepdims in (False, True)
    ],
    *[
        Case(n, (F,), {"axis": a, "keepdims": k})
        for n in ("argmax", "argmin")
        for a in (0, -1)
        for k in (False, True)
    ],
    *[
        Case(n, (floats(3, 4, dtype=d),), {}, 1e-2)
        for n in "sum mean exp softmax var tanh".split()
        for d in ("float16", "bfloat16")
    ],
    *[Case("sum", (ints(3, 4, dtype=d, low=0),)) for d in ("int8", "uint8", "int16", "uint32")],
    Case("max", (F,), {"initial": 1.5}),
    Case("average", (F,), {"axis": 0}),
    Case("average", (F,), {"axis": 1, "weights": floats(4, low=0.1)}),
    Case("average", (K,)),
    Case("moments", (F,), {"axes": [0]}),
    Case("moments", (floats(2, 3, 4),), {"axes": (0, 1), "keepdims": True}),
    Case("reshape", (F, (4, 3))),
    Case("reshape", (F, (-1, 2))),
    Case("reshape", (F, (12,))),
    Case("reshape", (F, -1)),
    Case("transpose", (floats(2, 3, 4),), {"axes": (1, 2, 0)}),
    Case("moveaxis", (floats(2, 3, 4), 0, -1)),
    Case("moveaxis", (floats(2, 3, 4), (0, 1), (1, 2))),
    Case("swapaxes", (F, 0, 1)),
    Case("expand_dims", (F, 1)),
    Case("expand_dims", (F, (0, -1))),
    Case("squeeze", (floats(3, 1, 2), 1)),
    Case("broadcast_to", (H, (2, 3, 4))),
    Case("tile", (F, (2, 1, 2))),
    Case("tile", (F, 2)),
    Case("repeat", (F, 2)),
    Case("repeat", (F, 3), {"axis": 1}),
    Case("repeat", (F, np.array([1, 0, 2])), {"axis": 0}, traced=False),
    Case("flip", (F,), {"axis": 1}),
    Case("roll", (F, 2)),
    Case("roll", (F, -1), {"axis": 1}),
    Case("roll", (F, (1, 2)), {"axis": (0, 1)}),
    Case("rot90", (F,), {"k": 3}),
    Case("rot90", (F,), {"k": 2}),
    Case("concatenate", ([F, G],)),
    Case("concatenate", ([F, K], 1)),
    Case("stack", ([F, G], 1)),
    Case("stack", ([F, G], -1)),
    Case("vstack", ([H, H],)),
    Case("hstack", ([F, G],)),
    Case("dstack", ([F, G],)),
    Case("append", (F, G)),
    Case("append", (F, G), {"axis": 1}),
    Case("split", (F, 2), {"axis": 1}),
    Case("split", (F, [1, 3]), {"axis": 1}),
    Case("array_split", (F, 3), {"axis": 1}),
    Case("unstack", (F,), {"axis": 1}),
    Case("zeros", ((2, 3),)),
    Case("ones", ((2,), "int32")),
    Case("full", ((2, 3), 7.5)),
    Case("full_like", (F, 3)),
    Case("eye", (3,)),
    Case("eye", (3, 4, 1)),
    Case("identity", (3,)),
    Case("tri", (3, 4, -1)),
    Case("arange", (5,)),
    Case("arange", (1, 7, 2)),
    Case("arange", (0.0, 1.0, 0.25)),
    Case("linspace", (0, 1, 5)),
    Case("linspace", (0.0, 3.0, 4), {"endpoint": False}),
    Case("linspace", (H, H + 1, 3), {"axis": -1}),
    Case("logspace", (0.0, 2.0, 5), {}, 1e-5),
    Case("geomspace", (1.0, 100.0, 5), {}, 1e-5),
    Case("meshgrid", (H, np.arange(3, dtype="float32"))),
    Case("meshgrid", (H, H), {"indexing": "ij"}),
    Case("tril", (floats(2, 3, 4), 1)),
    Case("triu", (F, -1)),
    Case("diag", (H,)),
    Case("diag", (H, 1)),
    Case("diag", (F, -1)),
    Case("diagflat", (F,)),
    Case("diagonal", (floats(2, 3, 4),), {"offset": 1, "axis1": 1, "axis2": 2}),
    Case("trace", (F,)),
    Case("take", (F, np.array([2, 0, -1], "int32"))),
    Case("take", (F, np.array([[0, 3], [1, 1]], "int32")), {"axis": 1}),
    Case("take", (F, 2), {"axis": 0}),
    Case("take_along_axis", (F, np.array([[0, 3], [1, 1], [2, -1]], "int32")), {"axis": 1}),
    Case("take_along_axis", (F, np.argsort(F, 0).astype("int32")), {"axis": 0}),
    *[
        Case("matmul", a, {}, 1e-5)
        for a in [
            (F, F.T.copy()),
            (F, H),
            (floats(3), F),
            (floats(2, 3, 4), floats(4, 5)),
            (floats(2, 3, 4), floats(2, 4, 5)),
            (floats(2, 1, 3, 4), floats(5, 4, 2)),
            (H, H),
            (floats(4), floats(2, 4, 3)),
        ]
    ],
    Case("matmul", (ints(2, 3, dtype="int8"), ints(3, 2, dtype="int8"))),
    *[
        Case("dot", a, {}, 1e-5)
        for a in [(H, H), (F, H), (F, floats(4, 5)), (floats(2, 3), floats(4, 3, 5)), (F, 2.0)]
    ],
    Case("vdot", (F, G), {}, 1e-5),
    Case("inner", (F, G), {}, 1e-5),
    Case("outer", (H, H)),
    Case("kron", (F, floats(2, 2))),
    Case("tensordot", (floats(2, 3, 4), floats(3, 4, 5)), {}, 1e-5),
    Case("tensordot", (floats(2, 3, 4), floats(4, 2)), {"axes": ([2, 0], [0, 1])}, 1e-5),
    *[
        Case("einsum", a, {}, 1e-5)
        for a in [
            ("ij,jk->ik", F, floats(4, 5)),
            ("bij,bjk->bik", floats(2, 3, 4), floats(2, 4, 5)),
            ("ij->ji", F),
            ("ii->i", floats(3, 3)),
            ("ij,kj->", F, G),
            ("...ij,...jk->...ik", floats(2, 3, 4), floats(4, 2)),
            ("ij,jk,kl->il", F, floats(4, 2), floats(2, 3)),
            ("btnh,bsnh->bnts", floats(2, 3, 2, 4), floats(2, 5, 2, 4)),
            ("ij,ij", F, G),
        ]
    ],
    Case("cross", (floats(4, 3), floats(4, 3))),
    Case("cross", (floats(4, 2), floats(4, 2))),
    Case("sort", (floats(2, 3, 4),), {"axis": 1}),
    Case("argsort", (F,), {"axis": 0}),
    Case("argsort", (F,), {"axis": None}),
    Case("top_k", (F, 2)),
    Case("in_top_k", (np.array([1, 0, 3], "int32"), F, 2)),
    Case("searchsorted", (np.sort(H), F)),
    Case("searchsorted", (np.sort(H), np.sort(H)), {"side": "right"}),
    Case("digitize", (F, np.array([-1.0, 0.0, 1.0], "float32"))),
    Case("isin", (K, np.array([1, 2], "int32"))),
    Case("median", (F,), {"axis": 0}),
    Case("median", (F,), {"axis": 1, "keepdims": True}),
    *[
        Case("quantile", (F, q), {"axis": 1, "method": m})
        for q in (0.3, np.array([0.1, 0.9], "float32"))
        for m in ("linear", "lower", "higher", "nearest", "midpoint")
    ],
    Case("percentile", (F, 25.0)),
    Case("quantile", (F, 0.5), {"keepdims": True}),
    Case("quantile", (N, 0.5), {"axis": 1}),
    Case("cumsum", (F,), {"axis": 1}),
    Case("cumprod", (F,), {"axis": 0}),
    Case("cumsum", (ints(3, 4, dtype="int8"),), {"axis": 0}),
    Case("nancumsum", (N[:2],), {"axis": 0}),
    Case("diff", (F,), {"n": 2, "axis": 1}),
    Case("trapezoid", (F,)),
    Case("trapezoid", (F,), {"dx": 0.5, "axis": 0}),
    *[
        Case("pad", (F, w), {"mode": m})
        for m in ("constant", "reflect", "symmetric")
        for w in [1, ((1, 2), (0, 3)), ((2, 2), (1, 0))]
    ],
    Case("pad", (F, ((1, 1), (2, 0))), {"constant_values": 9.0}),
    Case("pad", (floats(3), ((5, 7),)), {"mode": "reflect"}),
    Case("slice", (F, [1, 2], [2, 2])),
    Case("slice", (F, np.array([0, 1], "int32"), [2, -1]), traced=False),
    Case("slice_update", (F, [1, 1], floats(2, 3))),
    Case("scatter", (np.array([[0], [2], [0]], "int32"), floats(3, 4), (3, 4))),
    Case("scatter", (np.array([[0, 1], [2, 2]], "int32"), floats(2), (3, 4))),
    *[
        Case(
            "scatter_update", (F, np.array([[0, 1], [2, 2]], "int32"), floats(2)), {"reduction": r}
        )
        for r in (None, "add", "max", "min", "mul")
    ],
    *[
        Case(n, (F, np.array([0, 2, 0], "int32"), 4))
        for n in ("segment_sum", "segment_max", "segment_min", "segment_prod")
    ],
    Case("cast", (F, "int32")),
    Case("cast", (K, "float16")),
    Case("cast", (F, "bool")),
    Case("convert_to_tensor", ([1.0, 2.0],)),
    Case("convert_to_tensor", ([1, 2],)),
    Case("stop_gradient", (F,)),
    Case("size", (F,), traced=False),
    Case("ndim", (F,), traced=False),
    Case("saturate_cast", (F * 200, "uint8")),
    Case("view", (F, "int32")),
    Case("nonzero", (K,), traced=False),
    Case("unique", (K,), traced=False),
    Case("unique", (K,), {"return_counts": True, "return_inverse": True}, traced=False),
    Case("bincount", (J,), {"minlength": 9}, traced=False),
    Case("histogram", (floats(12),), {"bins": 4}, traced=False),
    *[Case(n, (7,), traced=False) for n in "bartlett blackman hamming hanning".split()],
    Case("kaiser", (7, 2.0), traced=False),
    Case("depth_to_space", (floats(2, 3, 3, 8), 2)),
    Case("space_to_depth", (floats(2, 4, 6, 3), 2)),
    Case("extract_sequences", (floats(2, 10), 4, 3)),
    Case("unfold", (floats(2, 3, 6, 5), 2), {"stride": 2, "padding": 1}),
    Case("fold", (floats(2, 12, 9), (4, 4), 2), {}, 1e-5),
    Case("cdist", (F, G), {}, 1e-5),
    Case("vander", (H,), {"N": 3}),
    Case("unravel_index", (J, (4, 5))),
    Case("erfc", (F,)),
    *[Case("norm", (F,), {"ord": o, "axis": 1}, 2e-6) for o in (None, 0, 1, 2, 3, np.inf, -np.inf)],
    *[Case("norm", (F,), {"ord": o}, 2e-6) for o in (None, "fro", 1, -1, np.inf, -np.inf)],
    Case("norm", (floats(2, 3, 4),), {"axis": (0, 2), "ord": 1, "keepdims": True}, 2e-6),
    Case("norm", (floats(2, 3, 4),), {"keepdims": True}, 2e-6),
    Case("corrcoef", (floats(3, 6),), {}, 1e-5),
    *[Case("correlate", (floats(7), floats(3)), {"mode": m}, 1e-5) for m in MODES],
    *[Case("correlate", (floats(3), floats(7)), {"mode": m}, 1e-5) for m in MODES],
    Case("rearrange", (floats(2, 4, 6, 3), "b (h x) (w y) c -> b h w (x y c)"), {"x": 2, "y": 3}),
    Case("rearrange", (floats(2, 4, 6), "b h w -> h (w b)")),
    Case("nanmedian", (N[:2],), {"axis": 1}),
    Case("nanmedian", (N,), {"axis": 0}),
    Case("nanquantile", (N[:2], np.array([0.2, 0.7], "float32")), {"axis": 1}),
    Case("nanpercentile", (N[:2], 30.0), {"axis": 0, "keepdims": True}),
]

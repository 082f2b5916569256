"""Variables outside of programs."""

import copy
import pickle
from typing import Any

import keras
import numpy as np
import pytest

import kgraph
from kgraph import ops
from kgraph.ops import AutocastScope, Variable, name_scope


@pytest.mark.parametrize(
    "initializer", [1, 2.5, True, np.ones(3), np.arange(3), [1.0, 2.0], np.ones(2, "float16")]
)
def test_dtype_is_that_of_keras(initializer: Any) -> None:
    ours, theirs = Variable(initializer), keras.Variable(initializer)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    np.testing.assert_array_equal(ours.numpy(), np.asarray(theirs))


def test_initializer_function() -> None:
    v = Variable(lambda shape, dtype: np.full(shape, 3, dtype), shape=(2, 2), dtype="float64")
    assert (v.shape, v.dtype, v.ndim, v.size) == ((2, 2), "float64", 2, 4)
    with pytest.raises(ValueError, match="needs the argument `shape`"):
        Variable(lambda shape, dtype: np.zeros(shape))
    with pytest.raises(ValueError, match="fully known"):
        Variable(lambda shape, dtype: np.zeros(shape), shape=(None, 2))
    with pytest.raises(ValueError, match=r"must give the shape \(2,\)"):
        Variable(lambda shape, dtype: np.zeros(3), shape=(2,))


def test_assign() -> None:
    v = Variable(np.zeros(2, "float32"), name="v")
    v.assign([1, 2])
    v.assign_add(1)
    v.assign_sub(np.ones(2))
    assert v.numpy().tolist() == [1, 2]
    assert v.numpy().dtype == np.float32
    with pytest.raises(ValueError, match=r"'v' has the shape \(2,\)"):
        v.assign(np.zeros(3))


def test_nothing_is_shared() -> None:
    given = np.zeros(5000, "float32")
    v = Variable(given)
    given[0] = 1
    before, lent = v.numpy(), v.value
    assert not lent.flags.writeable
    reshaped = ops.reshape(v, (50, 100))
    v.assign_add(1)
    kgraph.jit(lambda: v.assign_add(1))()
    for array in (before, lent, reshaped):
        assert not array.any()
    assert (v.numpy() == 2).all()
    mine = v.numpy()
    mine[:] = 9
    assert (v.numpy() == 2).all()
    small = Variable(np.zeros(2, "float32"))
    small.value[0] = 5
    assert not small.numpy().any()


def test_operators() -> None:
    v = Variable(np.array([1.0, 2.0], "float32"))
    assert (v + 1).tolist() == [2, 3]
    assert (np.array([1.0, 1.0], "float32") - v).tolist() == [0, -1]
    assert (v == 1).tolist() == [True, False]
    assert (2**v).tolist() == [2, 4]
    assert v[0] == 1
    assert len(v) == 2
    assert np.asarray(v).tolist() == [1, 2]
    assert float(Variable(2.5)) == 2.5
    assert int(Variable(2)) == 2
    with pytest.raises(TypeError, match="bool"):
        bool(v)
    with pytest.raises(TypeError, match="Only a scalar"):
        float(v)
    assert len({v, v, Variable(1)}) == 2


def test_paths() -> None:
    with name_scope("model"), name_scope("dense"):
        v = Variable(1.0, name="kernel")
        with name_scope("dense", override_parent="other"):
            w = Variable(1.0, name="bias")
    assert (v.path, v.name, w.path) == ("model/dense/kernel", "kernel", "other/dense/bias")
    with pytest.raises(ValueError, match="without '/'"):
        Variable(1.0, name="a/b")


def test_a_scope_opened_again_by_its_caller_does_not_nest() -> None:
    caller = object()
    with name_scope("layer", caller=caller), name_scope("layer", caller=caller):
        assert ops.current_path() == "layer"
    assert ops.current_path() == ""


def test_autocast() -> None:
    v, n = Variable(1.5), Variable(3)
    fixed = Variable(1.5, autocast=False)
    with AutocastScope("float16"):
        assert (v.dtype, v.value.dtype) == ("float16", np.float16)
        assert (v + 1).dtype == np.float16
        assert ops.reshape(v, (1,)).dtype == np.float16
        assert (n.dtype, fixed.dtype) == ("int32", "float32")
    assert v.dtype == "float32"
    with pytest.raises(ValueError, match="float"):
        AutocastScope("int32")


def test_attributes_are_checked() -> None:
    v = Variable(1.0)
    with pytest.raises(ValueError, match="aggregation"):
        Variable(1.0, aggregation="median")
    with pytest.raises(ValueError, match="regularizer"):
        v.regularizer = 3
    with pytest.raises(ValueError, match="constraint"):
        v.constraint = 3
    with pytest.raises(TypeError, match="bool"):
        v.overwrite_with_gradient = 1  # type: ignore[assignment]  # the error is what is tested


def test_copies() -> None:
    v = Variable(np.ones(2), name="v")
    for other in (copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        other.assign_add(1)
        assert other.path == "v"
    assert v.numpy().tolist() == [1, 1]

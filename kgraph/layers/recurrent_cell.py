"""What the built-in recurrent cells share, and the layers that run them."""

from typing import Any

from kgraph import activations, ops, random, regularizers
from kgraph.layers.call_spec import signature_of
from kgraph.layers.input_spec import InputSpec
from kgraph.layers.layer import Layer
from kgraph.layers.rnn import RNN
from kgraph.layers.weight_options import take_options, weight_options
from kgraph.utils.naming import to_snake_case

__all__ = ["CellRNN", "RecurrentCell"]

_OPTIONS = (
    "kernel_initializer", "recurrent_initializer", "bias_initializer", "kernel_regularizer",
    "recurrent_regularizer", "bias_regularizer", "kernel_constraint", "recurrent_constraint",
    "bias_constraint",
)  # fmt: skip


class RecurrentCell(Layer):
    """A step with a kernel for the inputs, one for the output of the step before, and a bias.

    Args:
        units: the size of the output.
        options: the other arguments of the cell's constructor: activations, dropout, seed,
            initializers, regularizers, constraints.
    """

    gates = 1  # so many blocks of `units` columns the kernels have
    settings: tuple[str, ...] = ()  # further arguments that the config holds

    def __init__(self, units: int, **options: Any) -> None:
        if not isinstance(units, int) or units <= 0:
            raise ValueError(
                "Received an invalid value for argument `units`, expected a positive integer, got "
                f"{units}."
            )
        weights = {key: options.pop(key) for key in _OPTIONS}
        activation = options.pop("activation")
        gate_activation = options.pop("recurrent_activation", None)
        self.use_bias = options.pop("use_bias")
        rates = options.pop("dropout"), options.pop("recurrent_dropout")
        seed = options.pop("seed")
        settings = {key: options.pop(key) for key in self.settings}
        options.pop("implementation", None)
        super().__init__(**options)
        self.units = units
        self.activation = activations.get(activation)
        self.recurrent_activation = activations.get(gate_activation)
        take_options(self, **weights)
        self.dropout, self.recurrent_dropout = (min(1.0, max(0.0, rate)) for rate in rates)
        self.seed = seed
        self.seed_generator = random.SeedGenerator(seed)
        for key, value in settings.items():
            setattr(self, key, value)
        self.state_size: Any = units
        self.output_size = units
        self.bias: Any = None
        self._masks: tuple[list[Any], list[Any]] | None = None

    def build(self, input_shape: Any) -> None:
        width = self.gates * self.units
        self.kernel = self._weight("kernel", (input_shape[-1], width))
        self.recurrent_kernel = self._weight("recurrent", (self.units, width))
        if self.use_bias:
            self.bias = self._weight("bias", self._bias_shape(), self._bias_initializer())

    def _weight(self, kind: str, shape: Any, initializer: Any = None) -> Any:
        return self.add_weight(
            shape=shape,
            name="recurrent_kernel" if kind == "recurrent" else kind,
            initializer=initializer or getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
        )

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _bias_initializer(self) -> Any:
        return self.bias_initializer

    def draw_dropout_masks(self, inputs: Any, states: Any, training: bool) -> None:
        """Draws the masks that hold for all steps of a call; in inference there are none."""
        self._masks = self._drawn(inputs, states[0]) if training else None

    def _drawn(self, inputs: Any, output: Any) -> tuple[list[Any], list[Any]]:
        """Masks for the inputs and the last output: one, or with recurrent dropout one per gate."""
        count = self.gates if self.recurrent_dropout else 1
        return (
            self._some_masks(self.dropout, inputs, count),
            self._some_masks(self.recurrent_dropout, output, count),
        )

    def _some_masks(self, rate: float, like: Any, count: int) -> list[Any]:
        if not rate:
            return []
        ones = ops.ones_like(like)
        return [random.dropout(ones, rate, seed=self.seed_generator) for _ in range(count)]

    def _step_masks(self, inputs: Any, output: Any, training: bool) -> tuple[list[Any], list[Any]]:
        """The masks of this step; a cell that no layer runs draws them at each."""
        if not training:
            return [], []
        return self._drawn(inputs, output) if self._masks is None else self._masks

    def _product(self, x: Any, kernel: Any, masks: list[Any]) -> Any:
        """`x @ kernel`, elements of x left out; with several masks each block has its own."""
        if len(masks) <= 1:
            return ops.matmul(x * masks[0] if masks else x, kernel)
        n = self.units
        blocks = kernel.shape[1] // n
        parts = [ops.matmul(x * masks[k], kernel[:, k * n : (k + 1) * n]) for k in range(blocks)]
        return ops.concatenate(parts, axis=-1)

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros."""
        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [ops.zeros((batch_size, n), dtype=self.compute_dtype) for n in sizes]

    def cell_config(self) -> dict[str, Any]:
        """The arguments that the layer which runs the cell has too."""
        config = {
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **weight_options(self, *_OPTIONS),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
            **{key: getattr(self, key) for key in self.settings},
        }
        if "recurrent_activation" in signature_of(type(self).__init__).parameters:
            config["recurrent_activation"] = activations.serialize(self.recurrent_activation)
        return config

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.cell_config()}


class CellRNN(RNN):
    """A layer that makes its cell from its own arguments.

    Args:
        cell_class: the cell.
        arguments: of the layer's constructor; those that the cell knows go to it.
    """

    def __init__(self, cell_class: type[RecurrentCell], arguments: dict[str, Any]) -> None:
        known = set(signature_of(cell_class.__init__).parameters)
        own = {key: value for key, value in arguments.items() if key in known}
        rest = {key: value for key, value in arguments.items() if key not in known}
        for key in ("use_cudnn", "implementation"):  # about speed only
            rest.pop(key, None)
        cell = cell_class(
            **own,
            dtype=rest.get("dtype"),
            trainable=rest.get("trainable", True),
            name=to_snake_case(cell_class.__name__),
        )
        super().__init__(cell, **rest)
        self.input_spec = InputSpec(ndim=3)

    def __getattr__(self, name: str) -> Any:
        # the cell's arguments are the layer's: layer.units, layer.kernel_initializer, ...
        cell = self.__dict__.get("cell")
        if cell is not None and name in signature_of(type(cell).__init__).parameters:
            return getattr(cell, name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["cell"]
        activity = regularizers.serialize(self.activity_regularizer)
        return {**config, **self.cell.cell_config(), "activity_regularizer": activity}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The layer that `get_config` described."""
        return cls(**config)

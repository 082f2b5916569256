"""The networks that are measured; each takes the module: kgraph, or keras."""


def convnet(keras):
    """The convnet of the README, compiled, and the shape of an input."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input(shape=(28, 28, 1)),
            layers.Conv2D(64, kernel_size=(3, 3), activation="relu"),
            layers.Conv2D(64, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(128, kernel_size=(3, 3), activation="relu"),
            layers.Conv2D(128, kernel_size=(3, 3), activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    return compiled(keras, model), (28, 28, 1)


def mlp(keras):
    """784-512-512-10."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input(shape=(784,)),
            layers.Dense(512, activation="relu"),
            layers.Dense(512, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    return compiled(keras, model), (784,)


def residual(keras, blocks=16):
    """A residual network with bottlenecks: 50 layers with weights for 16 blocks."""
    layers = keras.layers
    inputs = keras.Input(shape=(32, 32, 3))
    x = layers.Conv2D(64, 3, padding="same", use_bias=False)(inputs)
    for i in range(blocks):
        width = 64 * 2 ** (4 * i // blocks)
        last = x.shape[-1]
        y = layers.ReLU()(layers.BatchNormalization()(x))
        y = layers.Conv2D(width, 1, use_bias=False)(y)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.Conv2D(width, 3, padding="same", use_bias=False)(y)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.Conv2D(4 * width, 1)(y)
        if last != 4 * width:
            x = layers.Conv2D(4 * width, 1)(x)
        x = layers.Add()([x, y])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(x))
    return compiled(keras, model), (32, 32, 3)


def compiled(keras, model):
    """With Adam, the loss and the metric of the README."""
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(),
        optimizer=keras.optimizers.Adam(learning_rate=1e-3),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="acc")],
    )
    return model


NETWORKS = {"convnet": convnet, "mlp": mlp, "residual": residual}

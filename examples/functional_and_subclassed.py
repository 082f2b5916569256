"""One network in Keras's three ways of writing it: from the same weights, the same numbers.

python examples/functional_and_subclassed.py
"""

import numpy as np

import kgraph as keras
from kgraph import layers

(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_embedded()
x_train = np.expand_dims(x_train.astype("float32") / 255, -1)
x_test = np.expand_dims(x_test.astype("float32") / 255, -1)


def sequential():
    return keras.Sequential(
        [
            layers.Input(shape=(28, 28, 1)),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def functional():
    inputs = keras.Input(shape=(28, 28, 1))
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(inputs)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.convolution = layers.Conv2D(8, 3, strides=2, activation="relu")
        self.flatten = layers.Flatten()
        self.classify = layers.Dense(10, activation="softmax")

    def call(self, x):
        return self.classify(self.flatten(self.convolution(x)))


def train(model, weights=None):
    """The weights before the training, and the predictions after it."""
    model(x_test[:1])
    if weights is not None:
        model.set_weights(weights)
    weights = model.get_weights()
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=128, epochs=1, shuffle=False)
    return weights, model.predict(x_test, verbose=0)


weights, expected = train(sequential())
for other in (functional(), Subclassed()):
    _, predictions = train(other, weights)
    print("the largest difference:", np.max(np.abs(predictions - expected)))
    np.testing.assert_allclose(predictions, expected, atol=1e-5)

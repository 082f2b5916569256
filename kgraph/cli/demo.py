"""`kgraph demo`: the convnet of the README on the digits in the package."""

import sys
import time
from typing import Annotated

import numpy as np
import typer


def demo(
    epochs: Annotated[int, typer.Option(help="So many passes over the 6,000 digits.")] = 5,
    batch_size: Annotated[int, typer.Option(help="Digits of a training step.")] = 128,
) -> None:
    """Train a convolutional network on 6,000 handwritten digits and test it on 1,000 others."""
    from kgraph import layers
    from kgraph.datasets import mnist
    from kgraph.models import Sequential
    from kgraph.runtime import backend, thread_count
    from kgraph.utils import set_random_seed

    (x_train, y_train), (x_test, y_test) = mnist.load_embedded()
    x_train, x_test = (np.expand_dims(x.astype("float32") / 255, -1) for x in (x_train, x_test))
    set_random_seed(1)
    model = Sequential(
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
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.summary()
    sys.stdout.write(f"{len(x_train)} digits, backend {backend()}, {thread_count()} threads\n")
    started = time.perf_counter()
    model.fit(x_train, y_train, batch_size=batch_size, epochs=epochs)
    trained = time.perf_counter() - started
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    model.predict(x_test[:1], verbose=0)
    started = time.perf_counter()
    model.predict(x_test, batch_size=batch_size, verbose=0)
    predicted = time.perf_counter() - started
    sys.stdout.write(f"test accuracy {accuracy:.4f}, test loss {loss:.4f}\n")
    sys.stdout.write(
        f"training {epochs * len(x_train) / trained:.0f} images/s (compilation included), "
        f"prediction {len(x_test) / predicted:.0f} images/s\n"
    )

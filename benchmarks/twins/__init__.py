"""The same networks in PyTorch, as its users write them: plain modules, channels in dim 1.

In training they return what `cross_entropy` takes, else probabilities.
"""

# SPDX-License-Identifier: Apache-2.0
"""Makes label_tree-*.npz: what a label tree computes, in float64, by its definition.

    /usr/bin/python3 src/test/resources/conformance/label_tree.py

A class is there in a row if a target of the row lives in it. P(class) = sigmoid(x W1 + b1), P(label | class) =
sigmoid(x W2[class] + b2[class]), P(label) = P(class) P(label | class). The loss of a row is -log P of what is there and
-log(1 - P) of what is not: of all classes, and of all labels of the classes that are there.
"""

import os

import numpy as np


def log_sigmoid(z):
    return -np.logaddexp(0, -z)


def sigmoid(z):
    return np.exp(log_sigmoid(z))


def places(class_of):
    """The slot of each label: those of a class in the order of the labels."""
    return [int(np.sum(class_of[:label] == c)) for label, c in enumerate(class_of)]


def there(class_of, targets):
    """(batch, labels) and (batch, classes): what is there."""
    labels = np.array([np.isin(np.arange(len(class_of)), row) for row in targets])
    classes = [labels[:, class_of == c].any(axis=1) for c in range(max(class_of) + 1)]
    return labels, np.stack(classes, axis=1)


def logits(p, class_of):
    """(batch, classes) and (batch, labels)"""
    slot_of = places(class_of)
    of_classes = p["x"] @ p["W1"] + p["b1"]
    of_labels = [p["x"] @ p["W2"][c, :, s] + p["b2"][c, s] for c, s in zip(class_of, slot_of)]
    return of_classes, np.stack(of_labels, axis=1)


def losses(p, class_of, targets):
    """(batch)"""
    labels, classes = there(class_of, targets)
    of_classes, of_labels = logits(p, class_of)
    first = -log_sigmoid(np.where(classes, of_classes, -of_classes))
    second = -log_sigmoid(np.where(labels, of_labels, -of_labels))
    return first.sum(axis=1) + np.where(classes[:, class_of], second, 0).sum(axis=1)


def gradients(p, class_of, targets):
    """Of the mean of the losses: the derivative of -log sigmoid(z) is -sigmoid(-z), of -log sigmoid(-z) sigmoid(z)."""
    labels, classes = there(class_of, targets)
    of_classes, of_labels = logits(p, class_of)
    g1 = np.where(classes, -sigmoid(-of_classes), sigmoid(of_classes)) / len(targets)
    g2 = np.where(labels, -sigmoid(-of_labels), sigmoid(of_labels)) / len(targets)
    g2 = np.where(classes[:, class_of], g2, 0)
    result = {"x": g1 @ p["W1"].T, "W1": p["x"].T @ g1, "b1": g1.sum(axis=0)}
    result["W2"], result["b2"] = np.zeros_like(p["W2"]), np.zeros_like(p["b2"])
    for label, (c, s) in enumerate(zip(class_of, places(class_of))):
        result["W2"][c, :, s] = p["x"].T @ g2[:, label]
        result["b2"][c, s] = g2[:, label].sum()
        result["x"] += np.outer(g2[:, label], p["W2"][c, :, s])
    return result


def check(p, class_of, targets, found):
    """Central differences, element by element."""
    for name, gradient in found.items():
        for at in np.ndindex(gradient.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = {key: value.copy() for key, value in p.items()}
                moved[name][at] += step
                ends.append(losses(moved, class_of, targets).mean())
            difference = (ends[0] - ends[1]) / 2e-6
            assert abs(difference - gradient[at]) < 1e-7 * (1 + abs(difference)), (name, at)


def make(name, seed, features, class_of, targets, scale):
    random = np.random.default_rng(seed)
    class_of = np.array(class_of, dtype=np.int32)
    classes, slots = max(class_of) + 1, np.bincount(class_of).max()
    shapes = {
        "x": (len(targets), features),
        "W1": (features, classes),
        "b1": (classes,),
        "W2": (classes, features, slots),  # empty slots have weights as well, which must not matter
        "b2": (classes, slots),
    }
    inputs = {key: random.standard_normal(shape).astype(np.float32) for key, shape in shapes.items()}
    inputs["x"] *= np.resize(np.array(scale, dtype=np.float32), (len(targets), 1))
    p = {key: value.astype(np.float64) for key, value in inputs.items()}
    of_classes, of_labels = logits(p, class_of)
    log_probabilities = log_sigmoid(of_classes)[:, class_of] + log_sigmoid(of_labels)
    found = gradients(p, class_of, targets)
    if max(scale) == 1:
        check(p, class_of, targets, found)
    np.savez_compressed(
        os.path.join(os.path.dirname(os.path.abspath(__file__)), "label_tree-" + name + ".npz"),
        **inputs,
        classOf=class_of,
        targets=np.array([label for row in targets for label in row], dtype=np.int32),
        targetOffsets=np.cumsum([0] + [len(row) for row in targets], dtype=np.int32),
        probabilities=np.exp(log_probabilities),
        logProbabilities=log_probabilities,
        losses=losses(p, class_of, targets),
        **{"grad" + key[0].upper() + key[1:]: value for key, value in found.items()},
    )


make(
    "unequal_classes",
    seed=1,
    features=5,
    class_of=[3, 0, 3, 1, 3, 2, 3, 3, 1, 2, 3, 3, 2, 3, 3, 3, 3],  # 1, 2, 3 and 11
    targets=[[1], [0, 2, 16], [3, 8, 8], [5, 1, 4], [9, 5, 12], list(range(17))],
    scale=[1],
)
make(
    "rows_without_targets",
    seed=2,
    features=3,
    class_of=[0, 0, 1, 1, 2],
    targets=[[], [4], [], [2, 0, 2], []],
    scale=[1],
)
make(
    "large_logits",
    seed=3,
    features=7,
    class_of=[0, 1, 1, 0, 2, 2, 1],
    targets=[[0], [6, 1], [4, 3], [], [2], [5]],
    scale=[1, 20, 300, 300, 5000, 5000],
)

# SPDX-License-Identifier: Apache-2.0
import sys

import numpy as np
from safetensors.numpy import load_file


def log_softmax(z):
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def log_probabilities(model, x):
    """log P of each output, (rows, outputs), for rows of features, (rows, features)."""
    t = load_file(model)
    class_of, slot_of = t["classOf"], t["slotOf"]
    live = class_of >= 0  # of outputs that are retired, both are -1
    empty = np.full(t["b2"].shape, -np.inf)  # not every class fills all its slots
    empty[class_of[live], slot_of[live]] = 0
    of_classes = log_softmax(x @ t["W1"] + t["b1"])
    within = log_softmax(np.einsum("rf,cfs->rcs", x, t["W2"]) + t["b2"] + empty)
    p = (of_classes[:, :, None] + within)[:, class_of, slot_of]
    return np.where(live, p, -np.inf)


if __name__ == "__main__":
    model, x, p = sys.argv[1:]
    np.save(p, log_probabilities(model, np.load(x)).astype("float32"))

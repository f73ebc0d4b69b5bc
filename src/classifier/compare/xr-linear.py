# SPDX-License-Identifier: Apache-2.0
#
# PECOS's XR-Linear with its defaults, on TF-IDF of words by its own vectorizer. Needs NumPy, SciPy, and a source folder
# of PECOS in PYTHONPATH whose C++ core is built; examples are in fastText's format.
#
#   xr-linear.py train TRAINING MODEL WORDS   runs of up to WORDS words are features; MODEL is a folder
#   xr-linear.py predict MODEL TEST           prints the five likeliest labels of each example, with scores
#   xr-linear.py latency MODEL TEST           prints the median time of one answer, in microseconds, on one thread
import os
import sys
import time
import types

import numpy
import scipy.sparse


def normalize(matrix, axis, norm, copy=True):
    """Rows scaled to length 1, as scikit-learn does; all that PECOS takes from it here."""
    assert axis == 1 and norm == "l2"
    lengths = numpy.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
    lengths[lengths == 0] = 1
    return (scipy.sparse.diags(1 / lengths) @ matrix).astype(matrix.dtype).tocsr()


for name, content in {
    "sklearn": {},
    "sklearn.preprocessing": {"normalize": normalize},
    "sklearn.feature_extraction": {},
    "sklearn.feature_extraction.text": {"HashingVectorizer": None, "TfidfVectorizer": None},
}.items():
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(content)

# PECOS was written for older releases of both.
scipy.sparse.sputils = scipy.sparse._sputils
array = numpy.array
numpy.array = lambda *arguments, copy=True, **options: array(*arguments, copy=copy or None, **options)

from pecos.utils.featurization.text.vectorizers import Tfidf
from pecos.xmc import Indexer, LabelEmbeddingFactory
from pecos.xmc.xlinear.model import XLinearModel

PREFIX = "__label__"


def examples(file):
    """The labels of each line, and the texts."""
    labels, texts = [], []
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            labels.append([word[len(PREFIX) :] for word in words if word.startswith(PREFIX)])
            texts.append(" ".join(word for word in words if not word.startswith(PREFIX)))
    return labels, texts


def train(file, folder, words):
    labels, texts = examples(file)
    vectorizer = Tfidf.train(texts, {"ngram_range": (1, int(words))})
    x = vectorizer.predict(texts)
    names = sorted({name for row in labels for name in row})
    numbers = {name: i for i, name in enumerate(names)}
    columns = [numbers[name] for row in labels for name in row]
    starts = numpy.cumsum([0] + [len(row) for row in labels])
    ones = numpy.ones(len(columns), dtype=numpy.float32)
    y = scipy.sparse.csr_matrix((ones, columns, starts), shape=(len(labels), len(names)))
    clusters = Indexer.gen(LabelEmbeddingFactory.create(y, x, method="pifa"))
    XLinearModel.train(x, y.tocsc(), C=clusters).save(folder)
    vectorizer.save(os.path.join(folder, "vectorizer"))
    with open(os.path.join(folder, "labels"), "w", encoding="utf-8") as out:
        out.write("\n".join(names))


def load(folder):
    with open(os.path.join(folder, "labels"), encoding="utf-8") as lines:
        names = lines.read().split("\n")
    return Tfidf.load(os.path.join(folder, "vectorizer")), XLinearModel.load(folder, is_predict_only=True), names


def predict(folder, file):
    vectorizer, model, names = load(folder)
    ranking = model.predict(vectorizer.predict(examples(file)[1]), only_topk=5)
    for row in range(ranking.shape[0]):
        entries = slice(ranking.indptr[row], ranking.indptr[row + 1])
        best = numpy.argsort(-ranking.data[entries], kind="stable")
        answers = zip(ranking.indices[entries][best], ranking.data[entries][best])
        print(" ".join(f"{names[label]} {score:.6f}" for label, score in answers))


def latency(folder, file):
    vectorizer, model, names = load(folder)
    taken = []
    for text in examples(file)[1][:2000]:
        begin = time.perf_counter()
        ranking = model.predict(vectorizer.predict([text], threads=1), only_topk=5, threads=1)
        [names[label] for label in ranking.indices]
        taken.append(time.perf_counter() - begin)
    print(f"{1e6 * numpy.median(taken):.0f}")


globals()[sys.argv[1]](*sys.argv[2:])

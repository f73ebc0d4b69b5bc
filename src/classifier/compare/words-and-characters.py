# SPDX-License-Identifier: Apache-2.0
#
# Linear models of scikit-learn on TF-IDF of words and pairs, and of characters inside words; examples are in fastText's
# format.
#
#   words-and-characters.py train TRAINING MODEL LEARNER FEATURES
#       LEARNER is svm or lr (logistic regression), one for each label; FEATURES are words or characters, which are
#       words and characters
#   words-and-characters.py predict MODEL TEST   prints the five likeliest labels of each example; with lr, each with
#       its probability behind it
#   words-and-characters.py latency MODEL TEST   prints the median time of one answer, in microseconds
import os

# An answer to one text gains nothing from threads of a BLAS.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pickle
import sys
import time

import numpy
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.svm import LinearSVC

PREFIX = "__label__"
TOP = 5


def examples(file):
    """The labels of each line, and the texts."""
    labels, texts = [], []
    with open(file, encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            labels.append([word for word in words if word.startswith(PREFIX)])
            texts.append(" ".join(word for word in words if not word.startswith(PREFIX)))
    return labels, texts


def train(file, model, learner, features):
    labels, texts = examples(file)
    vectorizers = [TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))]
    if features == "characters":
        vectorizers.append(TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5)))
    each = LinearSVC() if learner == "svm" else LogisticRegression(C=10, solver="liblinear")
    pipeline = make_pipeline(make_union(*vectorizers), OneVsRestClassifier(each))
    if all(len(row) == 1 for row in labels):
        # Probabilities sum to one then.
        pipeline.fit(texts, [row[0] for row in labels])
        names = pipeline.classes_
    else:
        binarizer = MultiLabelBinarizer(sparse_output=True)
        pipeline.fit(texts, binarizer.fit_transform(labels))
        names = binarizer.classes_
    with open(model, "wb") as out:
        pickle.dump((pipeline, names), out)


def load(model):
    with open(model, "rb") as file:
        return pickle.load(file)


def scores(pipeline, texts):
    return pipeline.predict_proba(texts) if hasattr(pipeline, "predict_proba") else pipeline.decision_function(texts)


def predict(model, file):
    pipeline, names = load(model)
    has_probabilities = hasattr(pipeline, "predict_proba")
    for row in scores(pipeline, examples(file)[1]):
        best = numpy.argsort(-row, kind="stable")[:TOP]
        print(" ".join(f"{names[i]} {row[i]:.6f}" if has_probabilities else names[i] for i in best))


def latency(model, file):
    pipeline, names = load(model)
    taken = []
    for text in examples(file)[1][:500]:
        begin = time.perf_counter()
        row = scores(pipeline, [text])[0]
        [names[i] for i in numpy.argsort(-row)[:TOP]]
        taken.append(time.perf_counter() - begin)
    print(f"{1e6 * numpy.median(taken):.0f}")


globals()[sys.argv[1]](*sys.argv[2:])

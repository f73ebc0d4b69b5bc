# SPDX-License-Identifier: Apache-2.0
"""The two-level softmax and the label tree of blocksparse-spark, for PySpark 4.

It comes with the jar, where spark-submit finds it if the jar is named by --packages or --py-files. Its name is that
of the Java package: PySpark finds the class of what it loads by the name of the class in Java.

    from org.blocksparse.spark import HierarchicalSoftmaxClassifier
    model = HierarchicalSoftmaxClassifier(stepSize=0.5, maxIter=10).fit(rows)
"""

from pyspark.ml.util import JavaMLReadable, JavaMLWritable
from pyspark.ml.wrapper import JavaEstimator, JavaModel, JavaParams


class _Params(JavaParams):
    """Params as those of the Java object, without a copy of their names here."""

    def _take_params(self):
        self._create_params_from_java()
        self._transfer_params_from_java()

    def set_params(self, **params):
        """Sets params by their names, as setParams of PySpark's own."""
        return self._set(**params)


class _TwoLevelClassificationModel(_Params, JavaModel, JavaMLWritable):
    """Adds the columns prediction and topK to rows."""

    def __init__(self, java_model=None):
        super().__init__(java_model)
        if java_model is not None:
            self._take_params()

    @classmethod
    def of(cls, path):
        """A model of a file that was saved without Spark, on the driver."""
        file = cls._new_java_obj("java.io.File", path).toPath()
        return cls(cls._new_java_obj(f"{__name__}.{cls.__name__}.of", file))

    @property
    def hasBag(self):
        return self._call_java("hasBag")

    @property
    def numFeatures(self):
        return self._call_java("numFeatures")

    @property
    def numClasses(self):
        return self._call_java("numClasses")


class _TwoLevelClassifier(_Params, JavaEstimator, JavaMLWritable):
    """Params are keyword arguments."""

    def __init__(self, **params):
        super().__init__()
        self._java_obj = self._new_java_obj(f"{__name__}.{type(self).__name__}", self.uid)
        self._take_params()
        self._set(**params)


class HierarchicalSoftmaxClassificationModel(_TwoLevelClassificationModel, JavaMLReadable):
    """What HierarchicalSoftmaxClassifier fits."""


class HierarchicalSoftmaxClassifier(_TwoLevelClassifier, JavaMLReadable):
    """Trains a softmax over very many labels."""

    def _create_model(self, java_model):
        return HierarchicalSoftmaxClassificationModel(java_model)


class LabelTreeClassificationModel(_TwoLevelClassificationModel, JavaMLReadable):
    """What LabelTreeClassifier fits."""


class LabelTreeClassifier(_TwoLevelClassifier, JavaMLReadable):
    """Trains a label tree, of rows with several labels."""

    def _create_model(self, java_model):
        return LabelTreeClassificationModel(java_model)

"""The spec's own sections, stated as the catalogue states a class: keys, types, defaults."""

from collections.abc import Mapping

from netspec.catalogue.component import Component, OneOf, Param, Section
from netspec.catalogue.initializers import INITIALIZERS
from netspec.catalogue.layers import left_out as layers
from netspec.catalogue.losses import LOSSES
from netspec.catalogue.metrics import METRICS
from netspec.catalogue.optimizers import OPTIMIZERS
from netspec.catalogue.schedulers import SCHEDULERS
from netspec.catalogue.sources import SOURCES
from netspec.catalogue.sources import left_out as sources
from netspec.catalogue.transforms import TRANSFORMS
from netspec.catalogue.transforms import left_out as transforms
from netspec.catalogue.types import (
    ABOVE_ZERO,
    BOOLEAN,
    NATURAL,
    POSITIVE,
    TEXT,
    Choice,
    Either,
    Integer,
    ListOf,
    Number,
    Text,
    optional,
)
from netspec.shapes import MAX_RANK

INITIALIZER = OneOf("initializer", INITIALIZERS)
LOSS = OneOf("loss", LOSSES)
METRIC = OneOf("metric", METRICS)
OPTIMIZER = OneOf("optimizer", OPTIMIZERS)
SCHEDULER = OneOf(
    "scheduler",
    SCHEDULERS,
    Param("interval", Choice("epoch", "step"), None, "what one step of it counts"),
)
SOURCE = OneOf("source", SOURCES)
TRANSFORM = OneOf("transform", TRANSFORMS)

KINDS = (INITIALIZER, LOSS, METRIC, OPTIMIZER, SCHEDULER, SOURCE, TRANSFORM)

# Of a kind, the classes of torch and torchvision that no spec names, and why.
LEFT_OUT: Mapping[str, Mapping[str, str]] = {
    "layer": layers.LEFT_OUT,
    SOURCE.kind: sources.LEFT_OUT,
    TRANSFORM.kind: transforms.LEFT_OUT,
}

DIMENSION = Either(POSITIVE, Text("a dimension such as H or 4*H"))
SHAPE = ListOf(DIMENSION, 1, MAX_RANK)
FRACTION = Number(0, below=1)
SEED = Integer(0, 2**63 - 1)
PATTERN = Either(TEXT, ListOf(TEXT, 1))

INPUT = Component(
    name="input",
    params=(
        Param("shape", SHAPE, doc="one sample's shape: no batch dimension, channels first"),
        Param("dtype", Choice("float32", "int64"), "float32", "int64 for token ids"),
    ),
)
WHAT_COMES_IN = Either(SHAPE, Section(INPUT))
EXPECT = Component(
    name="expect",
    params=(
        Param("output", optional(SHAPE), None, "the output's shape, without the batch"),
        Param("parameters", optional(NATURAL), None, "how many parameters"),
    ),
)
WHAT_COMES_OUT = Either(SHAPE, Section(EXPECT))
UNTIL = Component(name="freeze", params=(Param("until", POSITIVE, doc="epoch, from 0"),))
FREEZE = Either(BOOLEAN, ListOf(TEXT, 1, 100), Section(UNTIL))

SPLIT = Component(
    name="split",
    params=(
        Param("validation", FRACTION, 0, "share of the training part"),
        Param("test", FRACTION, 0, "share of the whole, where the source brings no test part"),
        Param("shuffle", BOOLEAN, True, "false takes the last rows, as time series need"),
        Param("stratify", optional(BOOLEAN), None, "keep the classes' shares; default: true"),
        Param("group", optional(TEXT), None, "column whose equal values stay in one part"),
        Param("seed", optional(SEED), None, "default: train.seed"),
    ),
)
TRANSFORMS_OF = ListOf(TRANSFORM)
DATA = Component(
    name="data",
    params=(
        Param("source", SOURCE),
        Param(
            "target",
            optional(Choice("input", "one_hot")),
            None,
            "input: the sample before `augment`, after `preprocess`; one_hot: floats of classes",
        ),
        Param("split", Section(SPLIT), None),
        Param("augment", TRANSFORMS_OF, (), "training only"),
        Param("evaluate", TRANSFORMS_OF, (), "where `augment` does not act"),
        Param("preprocess", TRANSFORMS_OF, (), "always, last, and in the exported graph"),
        Param(
            "cache",
            Choice("auto", "memory", "disk", "none"),
            "auto",
            "where decoded images are kept; auto: in memory where they fit, else on disk",
        ),
        Param("workers", Integer(0, 256), 0, "processes that read what is not cached"),
        Param("on_error", Choice("raise", "skip"), "raise", "what to do about unreadable images"),
    ),
)

CHECKPOINT = Component(
    name="checkpoint",
    params=(Param("monitor", TEXT, None, "what `best` follows; default: the validation loss"),),
)
TRAIN = Component(
    name="train",
    params=(
        Param("epochs", optional(POSITIVE), None, "passes over the training part"),
        Param("steps", optional(POSITIVE), None, "optimizer steps, instead of epochs"),
        Param("batch_size", POSITIVE, 32),
        Param("seed", SEED, 0, "of initialisation, order and augmentation"),
        Param("shuffle", BOOLEAN, True),
        Param("loss", LOSS),
        Param("optimizer", OPTIMIZER),
        Param("scheduler", optional(SCHEDULER), None),
        Param("metrics", ListOf(METRIC), ()),
        Param("clip_grad_norm", optional(ABOVE_ZERO), None, "largest norm of the gradients"),
        Param("checkpoint", Section(CHECKPOINT), None),
    ),
)

ONNX = Component(
    name="onnx",
    params=(
        Param("precision", Choice("float32"), "float32"),
        Param("opset", optional(Integer(18, 25)), None, "default: the exporter's"),
        Param("output", Choice("none", "softmax", "sigmoid"), "none", "added to the graph's end"),
        Param("preprocess", optional(BOOLEAN), None, "default: true for image sources"),
    ),
)
EXPORT = Component(name="export", params=(Param("onnx", Section(ONNX), None),))

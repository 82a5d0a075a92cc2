"""Image data sets of torchvision, by their own names and parameters.

torchvision's `train` and `split` make the parts. Where a class has several training sets, its
parameter for them is the spec's, and says which is the training part.
"""

from __future__ import annotations

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.sources.fetched import Fetched, Piece, Pieces, fetched
from netspec.catalogue.sources.made import DIGITS
from netspec.catalogue.sources.source import VOID, Args, Classes, Images, Target, Values
from netspec.catalogue.transforms import AtLeast
from netspec.catalogue.types import BOOLEAN, Choice, Integer, optional

ANY_SIZE = Images(AtLeast(), AtLeast())

# Class names

CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip
KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
STL10 = (
    "airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck",
)  # fmt: skip
EUROSAT = (
    "AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial", "Pasture",
    "PermanentCrop", "Residential", "River", "SeaLake",
)  # fmt: skip
FACES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
IMAGENETTE = (
    "tench", "English springer", "cassette player", "chain saw", "church", "French horn",
    "garbage truck", "gas pump", "golf ball", "parachute",
)  # fmt: skip
VOC = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
CITYSCAPES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
    "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
    "motorcycle", "bicycle",
)  # fmt: skip

_LOWER = tuple("abcdefghijklmnopqrstuvwxyz")
_CHARACTERS = (*DIGITS, *(letter.upper() for letter in _LOWER), *_LOWER)
_MERGED = tuple(each for each in _CHARACTERS if each not in set("cijklmopsuvwxyz"))


def _named(names: tuple[str, ...]) -> Classes:
    return Classes(len(names), names)


def _trains(place: tuple[str, str], train: int, test: int) -> Pieces:
    """The parts of a class with a parameter `train`."""
    return {
        "train": Piece({"train": True}, place[0], train),
        "test": Piece({"train": False}, place[1], test),
    }


def _splits(place: str, **sizes: tuple[str, int | None]) -> Pieces:
    """The parts of a class with a parameter `split`, by the part's name: the split's and the
    part's size; `{}` in the place is the split's name."""
    return {
        part: Piece({"split": split}, place.format(split), size)
        for part, (split, size) in sizes.items()
    }


# Arrays in memory


def _idx(name: str) -> tuple[str, str]:
    return f"{name}/raw/train-images-idx3-ubyte", f"{name}/raw/t10k-images-idx3-ubyte"


_EMNIST: dict[str, tuple[tuple[str, ...], int, int]] = {
    "byclass": (_CHARACTERS, 697_932, 116_323),
    "bymerge": (_MERGED, 697_932, 116_323),
    "balanced": (_MERGED, 112_800, 18_800),
    "letters": (("N/A", *_LOWER), 124_800, 20_800),
    "digits": (DIGITS, 240_000, 40_000),
    "mnist": (DIGITS, 60_000, 10_000),
}


def _emnist(args: Args) -> Pieces:
    _, train, test = _EMNIST[args["split"]]
    place = f"EMNIST/raw/emnist-{args['split']}-%s-images-idx3-ubyte"
    return _trains((place % "train", place % "test"), train, test)


def _svhn(args: Args) -> Pieces:
    train = {"train": 73_257, "extra": 531_131}[args["split"]]
    return _splits("{}_32x32.mat", train=(args["split"], train), test=("test", 26_032))


def _stl10(args: Args) -> Pieces:
    train = 5_000 if args["folds"] is None else 1_000
    return _splits("stl10_binary/{}_X.bin", train=("train", train), test=("test", 8_000))


_ARRAYS = (
    fetched(
        "MNIST", "arrays", "handwritten digits",
        _trains(_idx("MNIST"), 60_000, 10_000), _named(DIGITS), Images(28, 28),
    ),
    fetched(
        "FashionMNIST", "arrays", "articles of clothing",
        _trains(_idx("FashionMNIST"), 60_000, 10_000), _named(FASHION), Images(28, 28),
    ),
    fetched(
        "KMNIST", "arrays", "cursive Japanese characters",
        _trains(_idx("KMNIST"), 60_000, 10_000), _named(KUZUSHIJI), Images(28, 28),
    ),
    fetched(
        "EMNIST", "arrays",
        "handwritten letters and digits, lying on their side as torchvision gives them; `letters` "
        "count from 1",
        _emnist, lambda args: _named(_EMNIST[args["split"]][0]), Images(28, 28),
        Param("split", Choice(*_EMNIST), doc="which of its six data sets"),
    ),
    fetched(
        "QMNIST", "arrays", "MNIST rebuilt, with all its 60,000 test digits",
        _trains(
            ("QMNIST/raw/qmnist-train-images-idx3-ubyte",
             "QMNIST/raw/qmnist-test-images-idx3-ubyte"),
            60_000, 60_000,
        ),
        _named(DIGITS), Images(28, 28),
        withheld={
            "what": "netspec reads the parts train and test",
            "compat": "a target is the digit",
        },
    ),
    fetched(
        "CIFAR10", "arrays", "photographs of ten kinds",
        _trains(
            ("cifar-10-batches-py/data_batch_1", "cifar-10-batches-py/test_batch"), 50_000, 10_000
        ),
        _named(CIFAR10), Images(32, 32),
    ),
    fetched(
        "CIFAR100", "arrays", "photographs of a hundred kinds",
        _trains(("cifar-100-python/train", "cifar-100-python/test"), 50_000, 10_000),
        Classes(100), Images(32, 32),
    ),
    fetched(
        "SVHN", "arrays", "house numbers",
        _svhn, _named(DIGITS), Images(32, 32),
        Param("split", Choice("train", "extra"), "train", "the training part"),
        needs=("scipy",),
    ),
    fetched(
        "STL10", "arrays", "photographs of ten kinds",
        _stl10, _named(STL10), Images(96, 96),
        Param("folds", optional(Integer(0, 9)), None, "which thousand of the training part"),
    ),
    fetched(
        "USPS", "arrays", "digits of postal codes",
        _trains(("usps.bz2", "usps.t.bz2"), 7_291, 2_007), _named(DIGITS), Images(16, 16),
    ),
    fetched(
        "SEMEION", "arrays", "handwritten digits",
        {"train": Piece({}, "semeion.data", 1_593)}, _named(DIGITS), Images(16, 16),
    ),
    fetched(
        "FER2013", "faces", "expressions of faces; a test part where its labels are there",
        _splits("fer2013", train=("train", 28_709), test=("test", 7_178)),
        _named(FACES), Images(48, 48),
        download=False,
    ),
    fetched(
        "PCAM", "hdf5", "tissue under the microscope, with or without a tumour",
        {
            part: Piece({"split": split}, f"pcam/camelyonpatch_level_2_split_{file}_x.h5", size)
            for part, split, file, size in (
                ("train", "train", "train", 262_144),
                ("validation", "val", "valid", 32_768),
                ("test", "test", "test", 32_768),
            )
        },
        _named(("normal", "tumour")), Images(96, 96),
        needs=("h5py",), fetching=("gdown",),
    ),
)  # fmt: skip

# Files

_AIRCRAFT = {"variant": 100, "family": 70, "manufacturer": 30}


def _aircraft(args: Args) -> Pieces:
    place = "fgvc-aircraft-2013b/data/images_{}_{{}}.txt".format(args["annotation_level"])
    if args["split"] == "trainval":
        return _splits(place, train=("trainval", 6_667), test=("test", 3_333))
    return _splits(place, train=("train", 3_334), validation=("val", 3_333), test=("test", 3_333))


_IMAGENETTE = {"full": "imagenette2", "320px": "imagenette2-320", "160px": "imagenette2-160"}

_SPECIES: dict[str, int | None] = {"2017": 5_089, "2018": 8_142, "2019": 1_010}
_INATURALIST = {"2021_train": 2_686_843, "2021_train_mini": 500_000}
_RANKS = ("kingdom", "phylum", "class", "order", "family", "genus")


def _inaturalist(args: Args) -> Pieces:
    version = args["version"]
    train = Piece({}, version, _INATURALIST.get(version))
    if version not in _INATURALIST:
        return {"train": train}
    return {"train": train, "validation": Piece({"version": "2021_valid"}, "2021_valid", 100_000)}


def _inaturalist_labels(args: Args) -> Target:
    species = 10_000 if args["version"] in _INATURALIST else _SPECIES[args["version"]]
    return Classes(species if args["target_type"] == "full" else None)


def _check_inaturalist(args: Args) -> None:
    ranks = _RANKS if args["version"] in _INATURALIST else ("super",)
    if args["target_type"] not in ("full", *ranks):
        raise Refusal(
            f"version {args['version']} has no target_type '{args['target_type']}'",
            f"use full or {' or '.join(ranks)}",
            "target_type",
        )


def _people(args: Args) -> Pieces:
    if args["split"] == "10fold":
        return _splits("lfw-py/people.txt", train=("10fold", 13_233))
    return {
        "train": Piece({"split": "train"}, "lfw-py/peopleDevTrain.txt", 9_525),
        "test": Piece({"split": "test"}, "lfw-py/peopleDevTest.txt", 3_708),
    }


def _pets(args: Args) -> Target:
    if args["target_types"] == "segmentation":
        return Classes(3, ("pet", "background", "border"), None, VOID)
    if args["target_types"] == "binary-category":
        return _named(("Cat", "Dog"))
    return Classes(37)


def _segments(args: Args) -> bool:
    return bool(args["target_types"] == "segmentation")


def _places(args: Args) -> Pieces:
    size, variant = "256" if args["small"] else "large", args["split"].removeprefix("train-")
    train = {"standard": 1_803_460, "challenge": 8_026_628}[variant]
    return {
        "train": Piece({"split": args["split"]}, f"data_{size}_{variant}", train),
        "validation": Piece({"split": "val"}, f"val_{size}", 36_500),
    }


def _omniglot(args: Args) -> Pieces:
    kind, size = ("background", 19_280) if args["background"] else ("evaluation", 13_180)
    return {"train": Piece({}, f"omniglot-py/images_{kind}", size)}


_PARTITION = Param("partition", Integer(1, 10), 1, "which of ten divisions into parts")
_GONE = {"download": "its server is no longer there: put the files there by hand"}

_FILES = (
    fetched(
        "Caltech101", "caltech101", "photographs of 101 kinds",
        {"train": Piece({}, "caltech101/101_ObjectCategories")}, Classes(101), ANY_SIZE,
        withheld={"target_type": "a target is the category; outlines are no classes"},
        fetching=("gdown",),
    ),
    fetched(
        "Caltech256", "caltech256", "photographs of 256 kinds and clutter",
        {"train": Piece({}, "caltech256/256_ObjectCategories", 30_607)}, Classes(257), ANY_SIZE,
    ),
    fetched(
        "CelebA", "celeba", "faces, each with 40 attributes that it has or not",
        _splits(
            "celeba/img_align_celeba",
            train=("train", 162_770), validation=("valid", 19_867), test=("test", 19_962),
        ),
        Values((40,), binary=True), Images(218, 178),
        withheld={
            "target_type": "a target is the 40 attributes: the parts share no identity, and boxes "
            "and points are no classes",
        },
        fetching=("gdown",),
    ),
    fetched(
        "CLEVRClassification", "files", "rendered scenes; the class is the number of objects",
        _splits(
            "clevr/CLEVR_v1.0/images/{}", train=("train", 70_000), validation=("val", 15_000)
        ),
        _named(tuple(map(str, range(11)))), Images(320, 480),
    ),
    fetched(
        "Country211", "files", "photographs of 211 countries",
        _splits(
            "country211/{}",
            train=("train", 31_650), validation=("valid", 10_550), test=("test", 21_100),
        ),
        Classes(211), ANY_SIZE,
    ),
    fetched(
        "DTD", "files", "textures",
        lambda args: _splits(
            f"dtd/dtd/labels/{{}}{args['partition']}.txt",
            train=("train", 1_880), validation=("val", 1_880), test=("test", 1_880),
        ),
        Classes(47), ANY_SIZE, _PARTITION,
    ),
    fetched(
        "EuroSAT", "files", "land seen by a satellite",
        {"train": Piece({}, "eurosat/2750", 27_000)}, _named(EUROSAT), Images(64, 64),
    ),
    fetched(
        "FGVCAircraft", "files", "aeroplanes",
        _aircraft, lambda args: Classes(_AIRCRAFT[args["annotation_level"]]), ANY_SIZE,
        Param("split", Choice("train", "trainval"), "trainval", "the training part"),
        Param("annotation_level", Choice(*_AIRCRAFT), "variant"),
    ),
    fetched(
        "Flowers102", "files", "flowers",
        _splits(
            "flowers-102/setid.mat",
            train=("train", 1_020), validation=("val", 1_020), test=("test", 6_149),
        ),
        Classes(102), ANY_SIZE,
        needs=("scipy",),
    ),
    fetched(
        "Food101", "files", "dishes",
        _splits("food-101/meta/{}.json", train=("train", 75_750), test=("test", 25_250)),
        Classes(101), ANY_SIZE,
    ),
    fetched(
        "GTSRB", "pairs", "German traffic signs",
        {
            "train": Piece({"split": "train"}, "gtsrb/GTSRB/Training", 26_640),
            "test": Piece({"split": "test"}, "gtsrb/GTSRB/Final_Test/Images", 12_630),
        },
        Classes(43), ANY_SIZE,
    ),
    fetched(
        "ImageNet", "files",
        "ILSVRC 2012: its archives, put below root by hand, are unpacked",
        _splits("{}", train=("train", 1_281_167), validation=("val", 50_000)),
        Classes(1_000), ANY_SIZE,
        download=False, unpacks=True, needs=("scipy",),
    ),
    fetched(
        "Imagenette", "files", "ten classes of ImageNet",
        lambda args: _splits(
            f"{_IMAGENETTE[args['size']]}/{{}}", train=("train", 9_469), validation=("val", 3_925)
        ),
        _named(IMAGENETTE), ANY_SIZE,
        Param("size", Choice(*_IMAGENETTE), "full", "of the images"),
    ),
    fetched(
        "INaturalist", "species", "photographs of living things",
        _inaturalist, _inaturalist_labels, ANY_SIZE,
        Param("version", Choice(*_INATURALIST, *_SPECIES), "2021_train", "the training part"),
        Param("target_type", Choice("full", *_RANKS, "super"), "full", "the rank of a class"),
        check=_check_inaturalist,
    ),
    fetched(
        "LFWPeople", "people", "faces; the class is the person",
        _people, Classes(5_749), Images(250, 250),
        Param("split", Choice("10fold", "train"), "10fold", "the training part"),
        Param("image_set", Choice("original", "funneled", "deepfunneled"), "funneled"),
        download=False, withheld=_GONE,
    ),
    fetched(
        "Omniglot", "characters", "handwritten characters of many alphabets",
        _omniglot, lambda args: Classes(964 if args["background"] else 659), Images(105, 105),
        Param("background", BOOLEAN, True, "false: the evaluation set, of other characters"),
    ),
    fetched(
        "OxfordIIITPet", "pets",
        "cats and dogs; segmentation: of each pixel whether it is the pet, the background or the "
        "border between them",
        _splits(
            "oxford-iiit-pet/annotations/{}.txt",
            train=("trainval", 3_680), test=("test", 3_669),
        ),
        _pets, ANY_SIZE,
        Param(
            "target_types", Choice("category", "binary-category", "segmentation"), "category",
            "breed, cat or dog, or a class in each pixel",
        ),
        masks=_segments,
    ),
    fetched(
        "Places365", "files", "places",
        _places, Classes(365), lambda args: Images(256, 256) if args["small"] else ANY_SIZE,
        Param(
            "split", Choice("train-standard", "train-challenge"), "train-standard",
            "the training part",
        ),
        Param("small", BOOLEAN, False, "images of 256x256"),
    ),
    fetched(
        "RenderedSST2", "files", "sentences of film reviews, as images",
        {
            "train": Piece({"split": "train"}, "rendered-sst2/train", 6_920),
            "validation": Piece({"split": "val"}, "rendered-sst2/valid", 872),
            "test": Piece({"split": "test"}, "rendered-sst2/test", 1_821),
        },
        _named(("negative", "positive")), Images(448, 448),
    ),
    fetched(
        "StanfordCars", "files", "cars",
        {
            "train": Piece({"split": "train"}, "stanford_cars/devkit", 8_144),
            "test": Piece(
                {"split": "test"}, "stanford_cars/cars_test_annos_withlabels.mat", 8_041
            ),
        },
        Classes(196), ANY_SIZE,
        download=False, withheld=_GONE, needs=("scipy",),
    ),
    fetched(
        "SUN397", "files", "scenes",
        {"train": Piece({}, "SUN397/ClassName.txt", 108_754)}, Classes(397), ANY_SIZE,
    ),
)  # fmt: skip

# A class in each pixel

_VOC_PLACES = {
    year: f"{'TrainVal/' if year == '2011' else ''}VOCdevkit/VOC{year}"
    for year in ("2012", "2011", "2010", "2009", "2008", "2007")
}
_VOC_SIZES = {
    ("2012", "train"): 1_464, ("2012", "val"): 1_449, ("2012", "trainval"): 2_913,
    ("2007", "train"): 209, ("2007", "val"): 213, ("2007", "trainval"): 422, ("2007", "test"): 210,
}  # fmt: skip


def _voc(args: Args) -> Pieces:
    year, chosen = args["year"], args["image_set"]
    sets = {"train": chosen}
    sets |= {"validation": "val"} if chosen == "train" else {}
    sets |= {"test": "test"} if year == "2007" else {}
    return {
        part: Piece(
            {"image_set": each},
            f"{_VOC_PLACES[year]}/ImageSets/Segmentation/{each}.txt",
            _VOC_SIZES.get((year, each)),
        )
        for part, each in sets.items()
    }


def _boundaries(args: Args) -> Pieces:
    train = {"train": 8_498, "train_noval": 5_623}[args["image_set"]]
    sets = {"train": (args["image_set"], train), "validation": ("val", 2_857)}
    return {
        part: Piece({"image_set": each, "mode": "segmentation"}, f"{each}.txt", size)
        for part, (each, size) in sets.items()
    }


def _cityscapes(args: Args) -> Pieces:
    train = {"train": 2_975, "train_extra": 19_998}[args["split"]]
    sets = {"train": (args["split"], train), "validation": ("val", 500)}
    return {
        part: Piece({"split": each, "target_type": "semantic"}, f"leftImg8bit/{each}", size)
        for part, (each, size) in sets.items()
    }


def _check_cityscapes(args: Args) -> None:
    if args["split"] == "train_extra" and args["mode"] == "fine":
        raise Refusal("train_extra has coarse masks alone", "write `mode: coarse`", "split")


def _pixels(names: tuple[str, ...]) -> Classes:
    return Classes(len(names), names, None, VOID)


_MASKS = (
    fetched(
        "VOCSegmentation", "masks", "Pascal VOC: 20 kinds of things and the background",
        _voc, _pixels(VOC), ANY_SIZE,
        Param("year", Choice(*_VOC_PLACES), "2012"),
        Param("image_set", Choice("train", "trainval"), "train", "the training part"),
        masks=lambda args: True,
    ),
    fetched(
        "SBDataset", "matlab_masks", "Pascal VOC with more masks",
        _boundaries, _pixels(VOC), ANY_SIZE,
        Param("image_set", Choice("train", "train_noval"), "train", "the training part"),
        withheld={"mode": "segmentation; boundaries are no classes"},
        needs=("scipy",), masks=lambda args: True,
    ),
    fetched(
        "Cityscapes", "cityscapes",
        "streets; the 19 classes that its benchmark counts; its archives, put below root by hand, "
        "are unpacked",
        _cityscapes, _pixels(CITYSCAPES), Images(1024, 2048),
        Param("split", Choice("train", "train_extra"), "train", "the training part"),
        Param("mode", Choice("fine", "coarse"), "fine", "of the masks"),
        withheld={"target_type": "semantic; the others are no classes"},
        download=False, unpacks=True, masks=lambda args: True, check=_check_cityscapes,
    ),
)  # fmt: skip

SOURCES: tuple[Fetched, ...] = (*_ARRAYS, *_FILES, *_MASKS)

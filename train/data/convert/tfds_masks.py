"""What the masks of TFDS's own sets mean: the class of each value that is stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from train.common.errors import UserError
from train.data.images import IGNORED

_NO_CLASS = -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Meaning:
    """The features of a set that are read, and what the values of its masks mean.

    Args:
      image: feature of the images.
      mask: feature of the masks.
      shift: added to a value, gives its class.
      void: value of pixels that do not count, as 255 does not.
      values: in the order of the classes, in place of `shift`; others are void.
      names: of the classes, where they are known.
      red: whether the masks are colors, whose red is the value.
    """

    image: str = "image"
    mask: str
    shift: int = 0
    void: int = IGNORED
    values: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    red: bool = False

    def classes(self, stored: np.ndarray, name: str) -> np.ndarray:
        """Returns the class indices of a mask, uint8, 255 where it is void.

        Args:
          stored: its values, uint8.
          name: of the mask, for messages.

        Raises:
          UserError: a value is of no class.
        """
        classes = self._table()[stored]
        if (wrong := classes == _NO_CLASS).any():
            value = stored[wrong][0]
            raise UserError(
                f"{name} has the value {value}, which is of no class by shift="
                f"{self.shift} and void={self.void}. Give the right ones, as in "
                f"--data tfds:NAME,shift=-1,void={value}."
            )
        return classes.astype(np.uint8)

    def _table(self) -> np.ndarray:
        """Returns the class of each value of 0 to 255."""
        if self.values:
            table = np.full(256, IGNORED, np.int16)
            table[list(self.values)] = range(len(self.values))
            return table
        table = np.arange(256, dtype=np.int16) + self.shift
        last = len(self.names) or IGNORED
        table[(table < 0) | (table >= last)] = _NO_CLASS
        table[[self.void, IGNORED]] = IGNORED
        return table


# Of the Places Challenge's task of instances, in which stuff (wall, sky) has no class.
_THINGS = tuple(
    "bed, windowpane, cabinet, person, door, table, curtain, chair, car, painting, "
    "sofa, shelf, mirror, armchair, seat, fence, desk, wardrobe, lamp, bathtub, "
    "railing, cushion, box, column, signboard, chest of drawers, counter, sink, "
    "fireplace, refrigerator, stairs, case, pool table, pillow, screen door, "
    "bookcase, coffee table, toilet, flower, book, bench, countertop, stove, palm, "
    "kitchen island, computer, swivel chair, boat, arcade machine, bus, towel, light, "
    "truck, chandelier, awning, streetlight, booth, television receiver, airplane, "
    "apparel, pole, bannister, ottoman, bottle, van, ship, fountain, washer, "
    "plaything, stool, barrel, basket, bag, minibike, oven, ball, food, step, trade "
    "name, microwave, pot, animal, bicycle, dishwasher, screen, sculpture, hood, "
    "sconce, vase, traffic light, tray, ashcan, fan, plate, monitor, bulletin board, "
    "radiator, glass, clock, flag".split(", ")
)

# Cityscapes' classes that are evaluated, by the values of its labelIds.
_CITYSCAPES = {
    7: "road",
    8: "sidewalk",
    11: "building",
    12: "wall",
    13: "fence",
    17: "pole",
    19: "traffic light",
    20: "traffic sign",
    21: "vegetation",
    22: "terrain",
    23: "sky",
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}

KNOWN: Mapping[str, Meaning] = {
    "oxford_iiit_pet": Meaning(
        mask="segmentation_mask",
        shift=-1,
        names=("pet", "background", "border"),
    ),
    "scene_parse150": Meaning(
        mask="annotation", shift=-1, void=0, names=_THINGS, red=True
    ),
    "cityscapes": Meaning(
        image="image_left",
        mask="segmentation_label",
        values=tuple(_CITYSCAPES),
        names=tuple(_CITYSCAPES.values()),
    ),
}

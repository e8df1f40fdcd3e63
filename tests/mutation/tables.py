"""All mistakes that tests must notice."""

from tests.mutation.browsing import BROWSING
from tests.mutation.channels import CHANNEL_MISTAKES
from tests.mutation.coco import COCO
from tests.mutation.conversions import CONVERTED
from tests.mutation.crf import CRF
from tests.mutation.devices import DEVICES
from tests.mutation.distances import DISTANCES
from tests.mutation.endings import ENDINGS
from tests.mutation.features import FEATURES
from tests.mutation.folders import SOURCES
from tests.mutation.handed_over import HANDED_OVER
from tests.mutation.hostile import HOSTILE
from tests.mutation.identity import IDENTITY
from tests.mutation.kernels import KERNELS
from tests.mutation.library import LIBRARY
from tests.mutation.metrics import METRICS
from tests.mutation.onnx_files import ONNX_FILES
from tests.mutation.optimizers import OPTIMIZERS
from tests.mutation.overlap import OVERLAP
from tests.mutation.palettes import PALETTES
from tests.mutation.places import PLACES
from tests.mutation.predictions import PREDICTIONS
from tests.mutation.regions import REGIONS
from tests.mutation.scores import SCORES
from tests.mutation.shared_folders import SHARED_FOLDERS
from tests.mutation.shared_outputs import SHARED_OUTPUTS
from tests.mutation.strange_files import STRANGE_FILES
from tests.mutation.strangers import STRANGERS
from tests.mutation.sums import SUMS
from tests.mutation.survival import SURVIVAL
from tests.mutation.tfds_sets import TFDS_SETS
from tests.mutation.trainer import TRAINER
from tests.mutation.void import VOID_MISTAKES

MUTANTS = (
    *TRAINER,
    *OPTIMIZERS,
    *PREDICTIONS,
    *BROWSING,
    *CRF,
    *IDENTITY,
    *ONNX_FILES,
    *PLACES,
    *SOURCES,
    *CONVERTED,
    *COCO,
    *HOSTILE,
    *TFDS_SETS,
    *STRANGE_FILES,
    *STRANGERS,
    *SHARED_FOLDERS,
    *PALETTES,
    *SHARED_OUTPUTS,
    *HANDED_OVER,
    *SURVIVAL,
    *ENDINGS,
    *DEVICES,
    *LIBRARY,
    *SCORES,
    *KERNELS,
    *OVERLAP,
    *METRICS,
    *DISTANCES,
    *REGIONS,
    *SUMS,
    *FEATURES,
    *VOID_MISTAKES,
    *CHANNEL_MISTAKES,
)

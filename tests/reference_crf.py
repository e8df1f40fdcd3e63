"""The dense CRF's mean field in plain loops, in float64, with every pair of pixels."""

import math

import numpy as np


def mean_field(
    image: np.ndarray,
    probabilities: np.ndarray,
    iterations: int,
    weight: float,
    position_std: float,
    color_std: float,
    gaussian_weight: float,
    gaussian_std: float,
) -> np.ndarray:
    """Returns the marginals, float64 `[height, width, classes]`.

    Of kernels that are divided by the roots of their sums at both pixels; each pixel is
    one of its neighbors.
    """
    height, width, classes = probabilities.shape
    pixels = [(row, column) for row in range(height) for column in range(width)]
    colors = image.astype(float)

    def bilateral(a: tuple[int, int], b: tuple[int, int]) -> float:
        apart = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
        differ = sum((colors[a][c] - colors[b][c]) ** 2 for c in range(3))
        return math.exp(-apart / (2 * position_std**2) - differ / (2 * color_std**2))

    def gaussian(a: tuple[int, int], b: tuple[int, int]) -> float:
        apart = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
        return math.exp(-apart / (2 * gaussian_std**2))

    pull: dict[tuple[tuple[int, int], tuple[int, int]], float] = {}
    for factor, kernel in ((weight, bilateral), (gaussian_weight, gaussian)):
        sums = {a: sum(kernel(a, b) for b in pixels) for a in pixels}
        for a in pixels:
            for b in pixels:
                share = factor * kernel(a, b) / math.sqrt(sums[a] * sums[b])
                pull[a, b] = pull.get((a, b), 0.0) + share

    def softmax(scores: list[float]) -> list[float]:
        powers = [math.exp(score - max(scores)) for score in scores]
        return [power / sum(powers) for power in powers]

    def log(value: float) -> float:
        return math.log(min(1.0, max(1e-5, value)))

    given = {a: [log(float(p)) for p in probabilities[a]] for a in pixels}
    found = {a: softmax(given[a]) for a in pixels}
    for _ in range(iterations):
        found = {
            a: softmax(
                [
                    given[a][c] + sum(pull[a, b] * found[b][c] for b in pixels)
                    for c in range(classes)
                ]
            )
            for a in pixels
        }
    return np.array([found[a] for a in pixels]).reshape(height, width, classes)

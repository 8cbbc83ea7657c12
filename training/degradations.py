"""Make the low-resolution half of a training pair.

The second-order model of Real-ESRGAN (Wang et al. 2021, https://arxiv.org/abs/2107.10833: blur, resize, noise, JPEG,
all of it twice, then a sinc filter), in a mild range: the built-in model has to clean a scan or an old photo without
inventing anything, and it must stay good on pictures that have no flaw but their size.

Every picture here is ``(H, W, 3) float32 in [0, 1]``.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.float32]
Random = np.random.Generator

_RESAMPLERS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)


def bicubic(picture: Picture, width: int, height: int) -> Picture:
    """Antialiased bicubic resampling (a = -0.5) of each channel in float: what MATLAB's ``imresize`` does."""
    channels = [Image.fromarray(np.ascontiguousarray(picture[..., c])) for c in range(3)]
    return np.stack([c.resize((width, height), Image.Resampling.BICUBIC) for c in channels], axis=-1)


def quantize(picture: Picture) -> Picture:
    """Round to the 8 bits that a file would hold."""
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.float32) / 255


def jpeg(picture: Picture, quality: int) -> Picture:
    """What is left after a trip through a JPEG file (4:2:0)."""
    eight_bit = np.round(np.clip(picture[..., ::-1], 0, 1) * 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", eight_bit, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]).astype(np.float32) / 255


def gaussian_kernel(random: Random, sigma_range: tuple[float, float]) -> NDArray[np.float32]:
    """An isotropic or anisotropic Gaussian of random width and angle."""
    size = int(random.choice((7, 9, 11, 13)))
    sigma_x = random.uniform(*sigma_range)
    sigma_y = sigma_x if random.random() < 0.6 else random.uniform(*sigma_range)
    angle = random.uniform(0, np.pi)
    y, x = np.mgrid[-(size // 2) : size // 2 + 1, -(size // 2) : size // 2 + 1]
    u = (x * np.cos(angle) + y * np.sin(angle)) / sigma_x
    v = (y * np.cos(angle) - x * np.sin(angle)) / sigma_y
    kernel = np.exp(-0.5 * (u * u + v * v))
    return (kernel / kernel.sum()).astype(np.float32)


def sinc_kernel(random: Random, cutoff_range: tuple[float, float]) -> NDArray[np.float32]:
    """A circular low-pass filter: its ringing is that of over-sharpened scans and of JPEG."""
    from scipy.special import j1

    size = int(random.choice((7, 9, 11)))
    cutoff = random.uniform(*cutoff_range)
    y, x = np.mgrid[-(size // 2) : size // 2 + 1, -(size // 2) : size // 2 + 1]
    radius = np.hypot(x, y)
    with np.errstate(invalid="ignore", divide="ignore"):
        kernel = cutoff * j1(cutoff * radius) / (2 * np.pi * radius)
    kernel[size // 2, size // 2] = cutoff**2 / (4 * np.pi)
    return (kernel / kernel.sum()).astype(np.float32)


def blur(picture: Picture, kernel: NDArray[np.float32]) -> Picture:
    return cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REFLECT_101).astype(np.float32)


def add_noise(random: Random, picture: Picture, sigma_max: float, poisson_max: float) -> Picture:
    """Gaussian or Poisson noise, in colour or the same in all channels."""
    grey = random.random() < 0.4
    shape = picture.shape[:2] + ((1,) if grey else (3,))
    noise = random.standard_normal(shape, dtype=np.float32)
    if random.random() < 0.6:
        noise *= random.uniform(0, sigma_max) / 255
    else:
        signal = picture.mean(axis=-1, keepdims=True) if grey else picture
        noise = noise * np.sqrt(np.clip(signal, 0, 1)) * (random.uniform(0, poisson_max) / 255)
    return picture + noise


def clean(picture: Picture, scale: int) -> Picture:
    """The classical super-resolution input: bicubic, nothing else."""
    height, width = picture.shape[:2]
    return quantize(bicubic(picture, width // scale, height // scale))


def compressed(random: Random, picture: Picture, scale: int) -> Picture:
    """A small clean picture that was saved as JPEG."""
    return jpeg(clean(picture, scale), int(random.integers(25, 96)))


def second_order(random: Random, picture: Picture, scale: int) -> Picture:
    """Blur, resize, noise and JPEG, twice, in a mild range, ending at exactly ``1 / scale``."""
    height, width = picture.shape[:2]
    low_height, low_width = height // scale, width // scale

    x = picture
    if random.random() < 0.8:
        x = blur(x, gaussian_kernel(random, (0.2, 2.4)))
    first = random.uniform(0.35, 1.0)
    size = (max(low_width, round(width * first)), max(low_height, round(height * first)))
    x = cv2.resize(x, size, interpolation=int(random.choice(_RESAMPLERS)))
    if random.random() < 0.7:
        x = add_noise(random, x, sigma_max=12, poisson_max=18)
    if random.random() < 0.6:
        x = jpeg(x, int(random.integers(50, 96)))

    if random.random() < 0.4:
        x = blur(x, gaussian_kernel(random, (0.2, 1.0)))
    if random.random() < 0.15:
        x = blur(x, sinc_kernel(random, (np.pi / 2, np.pi)))
    x = np.ascontiguousarray(x, dtype=np.float32)
    if random.random() < 0.5:
        x = bicubic(x, low_width, low_height)
    else:
        x = cv2.resize(x, (low_width, low_height), interpolation=cv2.INTER_AREA)
    if random.random() < 0.5:
        x = add_noise(random, x, sigma_max=7, poisson_max=10)
    return jpeg(x, int(random.integers(35, 96))) if random.random() < 0.7 else quantize(x)

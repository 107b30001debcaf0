"""Any image as 8-bit pixels: which files are images, their bytes, and what arrays mean."""

from fer_zoo.images.reading import MAX_PIXELS, Picture, read_image, read_picture

__all__ = ["MAX_PIXELS", "Picture", "read_image", "read_picture"]

"""Layers for any model. They need torch alone."""

from fer_zoo.layers.attention import (
    LocalAttention,
    MultiHeadSelfAttention,
    RelativeSelfAttention2d,
)
from fer_zoo.layers.conv import conv_layer
from fer_zoo.layers.drop import MultiAttentionDrop
from fer_zoo.layers.embed import PositionEmbed, TokenEmbed, resize_positions
from fer_zoo.layers.head import ClassifierHead

__all__ = [
    "ClassifierHead",
    "LocalAttention",
    "MultiAttentionDrop",
    "MultiHeadSelfAttention",
    "PositionEmbed",
    "RelativeSelfAttention2d",
    "TokenEmbed",
    "conv_layer",
    "resize_positions",
]

"""The models. Each registers ``fer_<name>`` with timm; here it is ``<name>``."""

from fer_zoo.models._build import build, default_cfg
from fer_zoo.models.ensemble import Ensemble
from fer_zoo.models.face_model import FaceModel
from fer_zoo.models.fer_alexnet import AlexNet
from fer_zoo.models.fer_alexnet import fer_alexnet as alexnet
from fer_zoo.models.fer_alexnet import fer_alexnet_224 as alexnet_224
from fer_zoo.models.fer_backbone import Backbone
from fer_zoo.models.fer_backbone import fer_backbone as backbone
from fer_zoo.models.fer_dacl import DACL
from fer_zoo.models.fer_dacl import fer_dacl as dacl
from fer_zoo.models.fer_dacl import fer_dacl_224 as dacl_224
from fer_zoo.models.fer_resnet import SmallFaceResNet
from fer_zoo.models.fer_resnet import fer_resnet18 as resnet18
from fer_zoo.models.fer_resnet import fer_resnet18_224 as resnet18_224
from fer_zoo.models.fer_resnet import fer_resnet50 as resnet50
from fer_zoo.models.fer_resnet import fer_resnet50_224 as resnet50_224
from fer_zoo.models.fer_transfer import TransFER
from fer_zoo.models.fer_transfer import fer_transfer as transfer
from fer_zoo.models.fer_transfer import fer_transfer_224 as transfer_224
from fer_zoo.models.fer_transfer_concat import CustomCNN, TransFERConcat
from fer_zoo.models.fer_transfer_concat import fer_cnn_transformer as cnn_transformer
from fer_zoo.models.fer_transfer_concat import fer_cnn_transformer_224 as cnn_transformer_224
from fer_zoo.models.fer_transfer_concat import fer_transfer_concat as transfer_concat
from fer_zoo.models.fer_transfer_concat import fer_transfer_concat_224 as transfer_concat_224
from fer_zoo.models.fer_vgg import VGG
from fer_zoo.models.fer_vgg import fer_vgg as vgg
from fer_zoo.models.fer_vgg import fer_vgg_224 as vgg_224
from fer_zoo.models.fer_vgg import fer_vgg_nano as vgg_nano
from fer_zoo.models.fer_vgg import fer_vgg_small as vgg_small
from fer_zoo.models.registry import create_model, is_model, list_models, model_entrypoint

__all__ = [
    "DACL",
    "VGG",
    "AlexNet",
    "Backbone",
    "CustomCNN",
    "Ensemble",
    "FaceModel",
    "SmallFaceResNet",
    "TransFER",
    "TransFERConcat",
    "alexnet",
    "alexnet_224",
    "backbone",
    "build",
    "cnn_transformer",
    "cnn_transformer_224",
    "create_model",
    "dacl",
    "dacl_224",
    "default_cfg",
    "is_model",
    "list_models",
    "model_entrypoint",
    "resnet18",
    "resnet18_224",
    "resnet50",
    "resnet50_224",
    "transfer",
    "transfer_224",
    "transfer_concat",
    "transfer_concat_224",
    "vgg",
    "vgg_224",
    "vgg_nano",
    "vgg_small",
]

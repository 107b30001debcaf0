"""The contract: every model can be traced, scripted, compiled and exported for any batch size."""

import io
import os
import shutil

import onnxruntime
import pytest
import torch
from timm.layers import get_notrace_functions, get_notrace_modules
from torch._inductor import aoti_compile_and_package, aoti_load_package
from torch.export import Dim
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names
from zoo import every_model, faces, fresh

import fer_zoo

pytestmark = [
    # torch.jit and what stands on it are deprecated, and still in use
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


def agrees(converted, model, exactly=False, sizes=(1, 2, 5)):
    """Compares at several batch sizes; models were converted at a batch of two."""
    for n in sizes:
        x = faces(n)
        with torch.no_grad():
            found, expected = converted(x), model(x)
        if exactly:
            assert torch.equal(found, expected)
        else:
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@every_model
def test_trace(name):
    model = fresh(name)
    agrees(torch.jit.trace(model, faces(), check_trace=False), model)


@every_model
def test_script(name):
    model = fresh(name)
    agrees(torch.jit.script(model), model)


def fx_graph(model):
    """Traces as timm does: modules that it may not trace are leaves."""
    options = {
        "leaf_modules": get_notrace_modules(),
        "autowrap_functions": get_notrace_functions(),
        "param_shapes_constant": True,
    }
    train, evaluate = get_graph_node_names(model, tracer_kwargs=options)
    return create_feature_extractor(
        model, train_return_nodes=[train[-1]], eval_return_nodes=[evaluate[-1]],
        tracer_kwargs=options,
    )  # fmt: skip


@every_model
def test_fx(name):
    model = fresh(name)
    graph = fx_graph(model)
    agrees(lambda x: next(iter(graph(x).values())), model, exactly=True)
    next(iter(graph.train()(faces(3)).values())).sum().backward()
    assert all(p.grad is not None for p in graph.parameters())
    scripted = torch.jit.script(graph.eval())
    agrees(lambda x: next(iter(scripted(x).values())), model)


@every_model
def test_export(name):
    model = fresh(name)
    exported = torch.export.export(model, (faces(),), dynamic_shapes={"x": {0: Dim("n")}})
    agrees(exported.module(), model)


@every_model
def test_compile(name):
    model = fresh(name)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager", dynamic=True)
    agrees(compiled, model, sizes=(2, 5))  # torch compiles for a batch of one by itself


@pytest.mark.parametrize("name", ["transfer", "transfer_concat"])
def test_compile_in_training(name):
    model = fer_zoo.create_model(name).train()
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    compiled(faces(4, size=40)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def by_onnxruntime(data):
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: torch.from_numpy(session.run(None, {name: x.numpy()})[0])


@every_model
def test_onnx(name):
    model, file = fresh(name), io.BytesIO()
    torch.onnx.export(
        model, (faces(),), file, dynamo=False, input_names=["x"], output_names=["logits"],
        dynamic_axes={"x": {0: "n"}, "logits": {0: "n"}},
    )  # fmt: skip
    agrees(by_onnxruntime(file.getvalue()), model)


@every_model
def test_onnx_by_torch_export(name):
    model, file = fresh(name), io.BytesIO()
    shapes = {"x": {0: Dim("n")}}
    program = torch.onnx.export(
        model, (faces(),), dynamo=True, dynamic_shapes=shapes, verbose=False
    )
    program.save(file)
    agrees(by_onnxruntime(file.getvalue()), model)


@pytest.mark.skipif(shutil.which("g++") is None, reason="AOTInductor needs a C++ compiler")
@pytest.mark.skipif("FER_ZOO_AOT" not in os.environ, reason="minutes a model; set FER_ZOO_AOT=1")
@every_model
def test_aot_inductor(name, tmp_path):
    model = fresh(name)
    with torch.no_grad():
        program = torch.export.export(model, (faces(),), dynamic_shapes={"x": {0: Dim("n")}})
        path = aoti_compile_and_package(program, package_path=str(tmp_path / "model.pt2"))
        agrees(aoti_load_package(path), model)

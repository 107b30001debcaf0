import json

import pytest
from layouts import write_faces
from tiny_training import FAST, PLAIN, TINY

from fer_zoo.errors import ConfigError, TrainingError
from fer_zoo.training import Sweep, load_config

pytestmark = pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")


def config(model="vgg_small", **settings):
    settings = {**FAST, **PLAIN, "epochs": 1, "model_args": TINY[model], **settings}
    return load_config(model=model, **settings)


def recipe_of(folder):
    return json.loads((folder / "config.json").read_text())["recipe"]


def test_students_come_after_their_teachers(tmp_path):
    runs = {
        "last": config(teacher="middle, first"),
        "middle": config(teacher="first"),
        "alone": config(teacher="dacl"),  # shipped weights are not of the sweep
        "first": config(),
    }
    sweep = Sweep(runs, "", tmp_path)
    order = sweep.order()
    assert sorted(order) == sorted(runs)
    assert order.index("first") < order.index("middle") < order.index("last")
    assert sweep.teachers("last") == ["middle", "first"] and sweep.teachers("alone") == []


def test_runs_that_teach_each_other_are_refused(tmp_path):
    runs = {"a": config(teacher="b"), "b": config(teacher="a"), "c": config()}
    with pytest.raises(ConfigError, match="the runs a, b wait for each other"):
        Sweep(runs, "", tmp_path)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_student_learns_from_the_run_and_a_finished_run_is_skipped(
    synthetic_root, tmp_path, jobs
):
    runs = {"student": config(teacher="teacher", ferplus_weight=0.0), "teacher": config(seed=3)}
    sweep = Sweep(runs, synthetic_root, tmp_path)
    assert not next(sweep.run(jobs, time_limit=0.0)).finished
    results = list(sweep.run(jobs))
    assert [r.folder.name for r in results] == ["teacher", "student"]
    assert all(r.finished for r in results)
    assert recipe_of(tmp_path / "student")["teacher"] == str(tmp_path / "teacher")
    before = (tmp_path / "student" / "model.safetensors").stat().st_mtime_ns
    assert all(r.finished for r in sweep.run(jobs))
    assert (tmp_path / "student" / "model.safetensors").stat().st_mtime_ns == before


def test_a_run_that_fails_is_named_and_the_others_go_on(synthetic_root, tmp_path):
    runs = {
        "broken": config(lr=1e30, ema_decay=0.0),
        "student": config(teacher="broken"),
        "sound": config(ferplus_weight=0.0),
    }
    found = []
    with pytest.raises(TrainingError, match=r"broken: .*(finite|the loss is)"):
        for result in Sweep(runs, synthetic_root, tmp_path).run():
            found.append(result.folder.name)
    assert found == ["sound"] and not (tmp_path / "student").exists()


def test_settings_are_fitted_to_the_data_as_by_a_recipe(tmp_path, caplog):
    caplog.set_level("INFO", "fer_zoo")
    write_faces(tmp_path / "own", [f"{x}/{i}.png" for x in ("bored", "tired") for i in range(10)])
    runs = {
        "votes": config(ferplus_weight=0.5, batch_size=64),
        "labels": config(labels="ferplus", ferplus_target="soft", ferplus_weight=0.0),
    }
    sweep = Sweep(runs, tmp_path / "own", tmp_path / "runs")
    assert not next(sweep.run(time_limit=0.0)).finished
    assert all(result.finished for result in sweep.run())
    assert "the recipe's second head on them is left out" in caplog.text
    assert recipe_of(tmp_path / "runs" / "votes")["ferplus_weight"] == 0
    assert recipe_of(tmp_path / "runs" / "labels")["labels"] == "auto"

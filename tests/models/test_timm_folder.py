"""A folder as timm writes it is read by its config.json, and by nothing that it could run."""

import json

import pytest
import timm
from timm.models._hub import save_for_hf

from kdcli.core.errors import DamagedFile, DataError, UsageError
from kdcli.models.timm_folder import describe


@pytest.fixture
def folder(tmp_path):
    """As timm saves it, names and all."""
    place = tmp_path / "mein Modell ü"
    model = timm.create_model("test_vit", num_classes=3, img_size=64)
    save_for_hf(
        model, place, model_config={"label_names": ["a", "b", "ç"]}, safe_serialization="both"
    )
    return place


def change(folder, **changes):
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config.update(changes)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")


def test_what_timm_saved_is_understood(folder):
    found = describe(folder, "local-dir:x")
    assert (found.model, found.size) == ("test_vit", 64)
    assert found.file == folder / "model.safetensors"
    assert (found.mean, found.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert found.classes == ("a", "b", "ç")
    assert found.licence == "apache-2.0"
    assert not {"num_classes", "img_size", "in_chans"} & found.options.keys()


def test_arguments_that_shape_the_model_are_kept(folder):
    change(folder, model_args={"img_size": 64, "global_pool": "avg", "drop_rate": 0.1})
    assert describe(folder, "x").options == {"global_pool": "avg", "drop_rate": 0.1}


@pytest.mark.parametrize(
    "arguments", [{"checkpoint_path": "/etc/passwd"}, {"pretrained_cfg": "x"}, {"depths": [1, 2]}]
)
def test_arguments_that_do_anything_else_are_refused(folder, arguments):
    change(folder, model_args=arguments)
    with pytest.raises(UsageError, match="none that kd passes on"):
        describe(folder, "x")


@pytest.mark.parametrize("names", [["a", "b"], ["a", "a", "b"], {"a": 1}, None, [1, 2, 3]])
def test_names_that_do_not_name_every_class_are_none(folder, names):
    change(folder, label_names=names)
    assert describe(folder, "x").classes is None


def test_a_model_that_timm_does_not_have(folder):
    change(folder, architecture="test_vitt")
    with pytest.raises(UsageError, match="did you mean 'test_vit'"):
        describe(folder, "x")


def test_other_images_than_kd_feeds(folder):
    for arguments, words in (
        ({"in_chans": 1}, "1 x 160 x 160"),
        ({"img_size": [64, 96]}, "3 x 64 x 96"),
    ):
        change(folder, model_args=arguments)
        with pytest.raises(DataError, match=words):
            describe(folder, "x")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"architectures": ["ViT"]}'])
def test_a_config_that_is_none(folder, text):
    (folder / "config.json").write_text(text, "utf-8")
    with pytest.raises(DamagedFile, match=r"config\.json: not what timm writes"):
        describe(folder, "x")


def test_files_that_lack(folder):
    with pytest.raises(UsageError, match="no such folder"):
        describe(folder / "nothing", "x")
    (folder / "model.safetensors").unlink()
    assert describe(folder, "x").file.name == "pytorch_model.bin"
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(UsageError, match="no file of weights"):
        describe(folder, "x")
    (folder / "config.json").unlink()
    with pytest.raises(UsageError, match=r"no config\.json"):
        describe(folder, "x")

"""The samples of exports: calibration, evaluation, pixels, memory."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.learners.program.export_data import ExportData, check_export, require_memory
from pocketflow.utils.errors import UsageError
from pocketflow.utils.export.options import ExportOptions
from tests.learners.conftest import make_helper

QUICK = {'num_eval': 30, 'num_calibration': 7}


@pytest.mark.parametrize('given', [None, 'uint8'])
def test_samples_are_read_as_the_files_take_them(given):
    helper = make_helper()
    data = ExportData(helper, ExportOptions(**QUICK, input=given))
    pixels = helper.dataset.source('eval').images[:30]
    np.testing.assert_allclose(data.samples.images, helper.dataset.normalize(pixels), atol=1e-6)
    np.testing.assert_array_equal(data.samples.labels, helper.dataset.source('eval').labels[:30])
    assert len(data.calibration) == 7
    if given is None:
        assert data.pixels is None and data.samples.pixels is None
    else:
        np.testing.assert_array_equal(data.samples.pixels, pixels)
        np.testing.assert_allclose(data.pixels.normalised(data.calibration), helper.training_images(7), atol=1e-6)


def test_images_that_are_no_pixels_are_refused(monkeypatch):
    dataset = make_helper().dataset
    check_export(dataset, ExportOptions(**QUICK, input='uint8'), ['int8'])
    monkeypatch.setattr(type(dataset), 'normalize', lambda self, images: tf.image.per_image_standardization(images))
    check_export(dataset, ExportOptions(**QUICK, input='uint8'), ['float32'])
    with pytest.raises(
        UsageError, match='--export_input=uint8: the images of digits are not normalised pixel by pixel'
    ):
        check_export(dataset, ExportOptions(**QUICK, input='uint8'), ['float32', 'int8'])
    images, labels = dataset.samples('eval')
    monkeypatch.setitem(dataset._cache, 'eval', (images.astype(np.float32) - 1, labels))
    with pytest.raises(UsageError, match='--export_input=uint8: the images have values from -1'):
        check_export(dataset, ExportOptions(**QUICK, input='uint8'), ['float32'])


def test_evaluation_images_that_do_not_fit_into_memory_are_refused():
    require_memory(10, (4, 4, 3), available=10 * 2 * 4 * 48)  # held twice, four bytes a value
    # The advice leaves half of the memory to everything else.
    with pytest.raises(
        UsageError, match=r'running the exported files on 11 .*; .* give --nb_smpls_export_eval=5 or less'
    ):
        require_memory(11, (4, 4, 3), available=10 * 2 * 4 * 48)

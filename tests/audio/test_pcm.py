import numpy as np

from whisper_service.audio.pcm import bounded, float32_to_int16, int16_to_float32


def test_int16_survives_the_way_through_float32() -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(float32_to_int16(int16_to_float32(every)), every)


def test_int16_to_float32_scales_by_32768() -> None:
    assert int16_to_float32(np.array([-32768, 16384], np.int16)).tolist() == [-1.0, 0.5]


def test_float32_to_int16_saturates() -> None:
    assert float32_to_int16(np.array([1.0, 7.0, -7.0], np.float32)).tolist() == [32767, 32767, -32768]


def test_float32_to_int16_takes_nan_as_silence() -> None:
    assert float32_to_int16(np.array([np.nan], np.float32)).tolist() == [0]


def test_bounded_silences_nan_and_infinities() -> None:
    assert bounded(np.array([np.nan, np.inf, -np.inf, 2.0, 0.25])).tolist() == [0, 0, 0, 1, 0.25]

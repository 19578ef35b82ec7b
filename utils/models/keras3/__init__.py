"""Models that Keras 3 has saved, brought into tf_keras: their files are read as data, Keras 3 itself is not needed."""

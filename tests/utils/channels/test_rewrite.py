"""Removal on each topology: the smaller model computes what the full one does without the dropped inputs."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.channels import drop_inputs, reader_channels, remove_channels
from pocketflow.utils.errors import UsageError

layers = keras.layers


def image(channels: int = 3, size: int = 6):
    return keras.Input((size, size, channels))


def conv(name: str, filters: int = 4, size: int = 3, **options):
    return layers.Conv2D(filters, size, padding='same', name=name, **options)


def channels_of(model: keras.Model, name: str) -> int:
    return model.get_layer(name).output.shape[-1]


def pooled(x, name: str = 'logits'):
    return layers.Dense(3, name=name)(layers.GlobalAveragePooling2D(name='pool')(x))


def test_a_chain_loses_filters_bias_and_norm_but_gets_no_select(removed, selects):
    inputs = image()
    x = layers.ReLU()(layers.BatchNormalization(name='norm')(conv('a', 5)(inputs)))
    model = keras.Model(inputs, pooled(conv('b')(x)))
    smaller = removed(model, {'b': [0, 2, 4], 'logits': [1, 2]})
    assert [weight.shape for weight in smaller.get_layer('a').weights] == [(3, 3, 3, 3), (3,)]
    assert [weight.shape for weight in smaller.get_layer('norm').weights] == [(3,)] * 4
    assert smaller.get_layer('b').kernel.shape == (3, 3, 3, 2)
    np.testing.assert_array_equal(
        smaller.get_layer('norm').moving_mean, model.get_layer('norm').moving_mean.numpy()[[0, 2, 4]]
    )
    assert selects(smaller) == []
    assert [layer.name for layer in smaller.layers] == [layer.name for layer in model.layers]


def test_keeping_everything_changes_nothing(removed):
    inputs = image()
    model = keras.Model(inputs, pooled(conv('a')(inputs)))
    smaller = removed(model, {})
    assert [layer.get_config() for layer in smaller.layers] == [layer.get_config() for layer in model.layers]


def pre_activation_net() -> keras.Model:
    inputs = image()
    x = conv('stem')(inputs)
    for block in 'ab':
        y = layers.ReLU()(layers.BatchNormalization(name=f'{block}_norm1')(x))
        y = layers.ReLU()(layers.BatchNormalization(name=f'{block}_norm2')(conv(f'{block}1', 6)(y)))
        x = layers.Add()([x, conv(f'{block}2')(y)])
    return keras.Model(inputs, pooled(layers.ReLU(name='last_relu')(x)))


def test_a_pre_activation_block_selects_in_front_of_its_norm(removed, selects):
    smaller = removed(pre_activation_net(), {'a1': [0, 2], 'b1': [1], 'a2': [5], 'b2': [0, 1, 2]})
    assert selects(smaller) == ['a_norm1_select', 'b_norm1_select']
    assert smaller.get_layer('a_norm1').gamma.shape == (2,)
    assert channels_of(smaller, 'a1') == 1 and channels_of(smaller, 'b1') == 3
    assert channels_of(smaller, 'stem') == channels_of(smaller, 'b2') == 4


def test_a_residual_stream_stores_the_union_of_what_is_read(removed, selects):
    smaller = removed(pre_activation_net(), {'a1': [0, 2], 'b1': [2], 'logits': [0, 2]})
    assert [channels_of(smaller, name) for name in ('stem', 'a2', 'b2')] == [2, 2, 2]
    assert selects(smaller) == ['b_norm1_select']


def test_a_post_activation_stream_needs_selects_at_its_readers_only(removed, selects):
    inputs = image()
    x = layers.ReLU()(layers.BatchNormalization()(conv('stem')(inputs)))
    y = layers.BatchNormalization()(conv('b')(layers.ReLU()(conv('a')(x))))
    model = keras.Model(inputs, pooled(layers.ReLU(name='last_relu')(layers.Add()([x, y]))))
    smaller = removed(model, {'a': [3], 'b': [0, 1], 'logits': [0, 1]})
    assert selects(smaller) == ['a_select', 'logits_select']
    assert channels_of(smaller, 'stem') == channels_of(smaller, 'b') == 3
    assert channels_of(smaller, 'a') == 2


def test_a_projection_shortcut_and_its_block_share_one_select(removed, selects):
    inputs = image()
    x = layers.Add()([conv('stem')(inputs), conv('other')(inputs)])
    y = layers.Add()([conv('block', 6)(x), conv('shortcut', 6, 1)(x)])
    model = keras.Model(inputs, [pooled(y), layers.GlobalMaxPooling2D()(x)])
    smaller = removed(model, {'block': [1, 3], 'shortcut': [3, 1], 'logits': [0, 5]})
    assert len(selects(smaller)) == 1
    assert channels_of(smaller, 'block') == channels_of(smaller, 'shortcut') == 2


def test_different_readers_of_one_tensor_get_what_each_needs(removed, selects):
    inputs = image()
    x = conv('stem', 6)(inputs)
    model = keras.Model(inputs, pooled(layers.Concatenate()([conv('a')(x), conv('b')(x), conv('c')(x)])))
    smaller = removed(model, {'a': [0, 1], 'b': [1, 2], 'c': [0, 1, 2]})
    assert channels_of(smaller, 'stem') == 3
    assert selects(smaller) == ['a_select', 'b_select']


def test_a_concatenation_shrinks_by_parts(removed, selects):
    inputs = image()
    x = layers.Concatenate(name='join')([conv('a', 3)(inputs), conv('b', 4)(inputs)])
    smaller = removed(keras.Model(inputs, pooled(conv('c')(x))), {'c': [0, 4, 6]})
    assert [channels_of(smaller, name) for name in ('a', 'b', 'join')] == [1, 2, 3]
    assert selects(smaller) == []


def test_a_tensor_concatenated_with_itself_has_each_channel_once(removed):
    inputs = image()
    x = conv('a')(inputs)
    model = keras.Model(inputs, pooled(conv('b')(layers.Concatenate()([x, x]))))
    assert reader_channels(model)['b'].num_channels == 4
    smaller = removed(model, {'b': [1, 3]})
    assert channels_of(smaller, 'a') == 2
    assert smaller.get_layer('b').kernel.shape == (3, 3, 4, 4)


def test_a_branch_that_nobody_reads_vanishes_but_its_input_stays(removed):
    inputs = [image(), image()]
    x = layers.Concatenate()([conv('a', 3)(inputs[0]), conv('b2')(conv('b', 4)(inputs[1]))])
    smaller = removed(keras.Model(inputs, pooled(conv('c')(x))), {'c': [0, 1]})
    assert len(smaller.inputs) == 2
    names = {layer.name for layer in smaller.layers}
    assert not names & {'b', 'b2'} and 'a' in names


@pytest.mark.parametrize('multiplier', [1, 2])
def test_a_depthwise_convolution_passes_identities_on(removed, selects, multiplier):
    inputs = image()
    depthwise = layers.DepthwiseConv2D(3, depth_multiplier=multiplier, name='depthwise')
    x = layers.BatchNormalization(name='norm')(depthwise(conv('a')(inputs)))
    model = keras.Model(inputs, pooled(conv('b')(x)))
    assert reader_channels(model)['b'].num_channels == 4
    smaller = removed(model, {'b': [0, 3]})
    assert smaller.get_layer('depthwise').depthwise_kernel.shape == (3, 3, 2, multiplier)
    assert smaller.get_layer('norm').gamma.shape == (2 * multiplier,)
    assert channels_of(smaller, 'a') == 2 and selects(smaller) == []


def test_flatten_repeats_the_channels(removed, selects):
    inputs = image(size=4)
    x = layers.MaxPooling2D()(conv('a', 3)(inputs))
    model = keras.Model(inputs, layers.Dense(2, name='logits')(layers.Flatten()(x)))
    assert [p.tolist() for p in reader_channels(model)['logits'].positions][1] == [1, 4, 7, 10]
    smaller = removed(model, {'logits': [0, 2]})
    assert smaller.get_layer('logits').kernel.shape == (8, 2) and channels_of(smaller, 'a') == 2
    assert selects(smaller) == []


@pytest.mark.parametrize('shape', [(64,), (-1,), (1, 64), (-1, 4), (4, 16), (16, 4)])
def test_reshapes_that_keep_channels_apart(removed, selects, shape):
    inputs = image(size=4)
    x = layers.Reshape(shape, name='reshape')(conv('a')(inputs))
    model = keras.Model(inputs, layers.Dense(2, name='logits')(x))
    smaller = removed(model, {'logits': [1, 2]})
    assert channels_of(smaller, 'a') == 2 and selects(smaller) == []


def test_a_reshape_that_mixes_channels_reads_everything(removed, selects):
    inputs = image(size=4)
    x = layers.Reshape((32, 2))(conv('a')(inputs))
    smaller = removed(keras.Model(inputs, layers.Dense(2, name='logits')(x)), {'logits': [1]})
    assert channels_of(smaller, 'a') == 4 and selects(smaller) == ['logits_select']


def test_squeeze_and_excite_shrinks_with_the_tensor_that_it_scales(removed, selects):
    inputs = image()
    x = conv('a', 6)(inputs)
    y = layers.GlobalAveragePooling2D()(x)
    y = layers.Dense(6, activation='sigmoid', name='up')(layers.Dense(2, activation='relu', name='down')(y))
    x = layers.Multiply()([x, layers.Reshape((1, 1, 6))(y)])
    smaller = removed(keras.Model(inputs, pooled(x)), {'down': [0, 1], 'logits': [1, 2]})
    assert channels_of(smaller, 'up') == channels_of(smaller, 'a') == 3
    assert len(selects(smaller)) == 2


def test_other_convolutions_and_layers_of_a_chain(removed, selects):
    inputs = image()
    x = layers.SeparableConv2D(4, 3, depth_multiplier=2, name='separable')(conv('a')(inputs))
    x = layers.PReLU(shared_axes=[1, 2], name='prelu')(x)
    x = layers.Conv2DTranspose(5, 2, strides=2, name='transposed')(layers.Dropout(0.5)(x))
    x = layers.LeakyReLU()(layers.ZeroPadding2D()(layers.UpSampling2D()(x)))
    x = layers.Cropping2D(2)(layers.SpatialDropout2D(0.1)(layers.GaussianNoise(0.1)(x)))
    x = conv('last')(layers.PReLU(name='full_prelu')(layers.ELU()(layers.AveragePooling2D(2)(x))))
    kept = {'separable': [0, 3], 'transposed': [1, 2, 3], 'last': [0, 4], 'logits': [2]}
    smaller = removed(keras.Model(inputs, pooled(x)), kept)
    assert smaller.get_layer('separable').pointwise_kernel.shape == (1, 1, 4, 3)
    assert smaller.get_layer('prelu').alpha.shape == (1, 1, 3)
    assert smaller.get_layer('transposed').kernel.shape == (2, 2, 2, 3)
    assert selects(smaller) == []


def test_a_convolution_with_one_channel_per_group_is_depthwise(removed, selects):
    inputs = image()
    x = layers.Conv2D(8, 3, groups=4, padding='same', name='depthwise')(conv('a')(inputs))
    assert [*reader_channels(keras.Model(inputs, x))] == ['a']
    smaller = removed(keras.Model(inputs, pooled(conv('b')(x))), {'b': [0, 1, 3]})
    depthwise = smaller.get_layer('depthwise')
    assert (depthwise.groups, depthwise.kernel.shape) == (3, (3, 3, 1, 6))
    assert channels_of(smaller, 'a') == 3 and selects(smaller) == []


def test_one_dimensional_networks(removed, selects):
    inputs = keras.Input((8, 2))
    x = layers.MaxPooling1D()(layers.Conv1D(4, 3, name='a')(inputs))
    x = layers.GlobalMaxPooling1D()(layers.Conv1D(4, 2, name='b')(x))
    smaller = removed(keras.Model(inputs, layers.Dense(2, name='logits')(x)), {'b': [1, 2], 'logits': [0]})
    assert channels_of(smaller, 'a') == 2 and channels_of(smaller, 'b') == 1 and selects(smaller) == []


UNKNOWN = {
    'lambda': lambda: layers.Lambda(lambda x: x[..., ::-1]),
    'softmax': lambda: layers.Softmax(),
    'activation that mixes channels': lambda: layers.Activation('softmax'),
    'layer norm': lambda: layers.LayerNormalization(),
    'model': lambda: keras.Sequential([layers.Conv2D(4, 1), layers.BatchNormalization()]),
    'softmax in a depthwise convolution': lambda: layers.DepthwiseConv2D(3, activation='softmax'),
    'norm over rows': lambda: layers.BatchNormalization(axis=1),
    'dropout with a shape': lambda: layers.Dropout(0.1, noise_shape=(1, 1, 1, 4)),
}


@pytest.mark.parametrize('make', UNKNOWN.values(), ids=UNKNOWN)
def test_a_layer_without_a_rule_reads_everything_and_keeps_its_channels(removed, selects, make):
    inputs = image()
    model = keras.Model(inputs, pooled(conv('b')(make()(conv('a')(inputs)))))
    smaller = removed(model, {'b': [0, 2]})
    assert channels_of(smaller, 'a') == 4
    assert smaller.get_layer('b').kernel.shape == (3, 3, 2, 4)
    assert selects(smaller) == ['b_select']


def test_operators_and_keyword_tensors_are_unknown_but_right(removed):
    inputs = image()
    x = conv('a')(inputs) * 2.0 + 1.0
    x = layers.Reshape((36, 4))(conv('b')(x))
    x = layers.MultiHeadAttention(1, 2)(x, value=layers.LayerNormalization()(x))
    smaller = removed(keras.Model(inputs, layers.Dense(2, name='logits')(x)), {'b': [0], 'logits': [1, 2]})
    assert smaller.get_layer('b').kernel.shape == (3, 3, 1, 4)


def test_a_shared_layer_is_unknown_and_stays_shared(removed):
    inputs = image()
    shared = conv('shared', 3)
    model = keras.Model(inputs, pooled(conv('b')(shared(shared(inputs)))))
    assert 'shared' not in reader_channels(model)
    smaller = removed(model, {'b': [0]})
    assert len(smaller.get_layer('shared').inbound_nodes) == 2
    assert smaller.get_layer('b').kernel.shape == (3, 3, 1, 4)


def test_an_activation_that_is_called_at_several_places_loses_other_channels_at_each(removed):
    inputs, relu = image(), layers.ReLU(name='relu')
    x = conv('b', 6)(relu(conv('a')(inputs)))
    smaller = removed(keras.Model(inputs, pooled(relu(conv('c')(relu(x))))), {'b': [0], 'c': [1, 2, 5]})
    assert channels_of(smaller, 'a') == 1 and channels_of(smaller, 'b') == 3
    assert len(smaller.get_layer('relu').inbound_nodes) == 3


def test_a_softmax_inside_a_reader_keeps_its_outputs(removed, selects):
    inputs = image()
    x = conv('b')(conv('a', activation='softmax')(conv('stem')(inputs)))
    smaller = removed(keras.Model(inputs, pooled(x)), {'a': [0], 'b': [1, 2]})
    assert channels_of(smaller, 'stem') == 1 and channels_of(smaller, 'a') == 4
    assert selects(smaller) == ['b_select']


def test_several_inputs_and_outputs(removed):
    inputs = [image(), image(2)]
    a, b = conv('a')(inputs[0]), conv('b')(inputs[1])
    both = layers.Maximum()([a, b])
    model = keras.Model(inputs, [pooled(both), conv('map')(b), layers.ReLU()(a)])
    smaller = removed(model, {'b': [1], 'logits': [0], 'map': [2, 3]})
    assert channels_of(smaller, 'a') == channels_of(smaller, 'b') == 4
    assert smaller.output_shape == model.output_shape


def test_the_structure_of_inputs_and_outputs_survives():
    inputs = {'left': image(), 'right': image()}
    outputs = {'sum': layers.Add()([conv('a')(inputs['left']), conv('b')(inputs['right'])])}
    smaller = remove_channels(keras.Model(inputs, outputs), {'a': [0]})
    assert set(smaller.input) == {'left', 'right'} and set(smaller.output) == {'sum'}


def test_a_first_convolution_may_ignore_an_input_channel(removed, selects):
    inputs = image()
    smaller = removed(keras.Model(inputs, pooled(conv('a')(inputs))), {'a': [0, 2]})
    assert smaller.input_shape == (None, 6, 6, 3) and selects(smaller) == ['a_select']


def test_an_addition_that_broadcasts_over_channels_is_unknown(removed):
    inputs = image()
    x = layers.Add()([conv('a')(inputs), conv('gate', 1)(inputs)])
    assert channels_of(removed(keras.Model(inputs, pooled(x)), {'logits': [0]}), 'a') == 4


def test_concatenating_rows_makes_channels_one(removed):
    inputs = image()
    x = layers.Concatenate(axis=1)([conv('a')(inputs), conv('b')(inputs)])
    smaller = removed(keras.Model(inputs, pooled(x)), {'logits': [0, 3]})
    assert channels_of(smaller, 'a') == channels_of(smaller, 'b') == 2


def test_removing_twice_is_removing_at_once(removed, selects, same_outputs):
    model = pre_activation_net()
    once = removed(model, {'a1': [0, 2, 3], 'b1': [1, 2]})
    twice = remove_channels(once, {'a1': [1, 2], 'b1': [0], 'logits': [0, 1]})
    same_outputs(twice, remove_channels(model, {'a1': [2, 3], 'b1': [1], 'logits': [0, 1]}))
    assert selects(twice) == ['a_norm1_select', 'b_norm1_select', 'logits_select']


def test_a_select_that_is_needed_no_more_disappears(removed, selects):
    inputs = image()
    x = conv('stem')(inputs)
    model = keras.Model(inputs, pooled(layers.Concatenate()([conv('a')(x), conv('b')(x)])))
    once = removed(model, {'a': [0, 1]})
    assert selects(once) == ['a_select']
    assert selects(removed(once, {'b': [0, 1]})) == []


def test_options_of_layers_survive():
    inputs = image()
    first = conv('a', kernel_regularizer=keras.regularizers.L2(0.1), dtype='mixed_bfloat16')
    norm = layers.BatchNormalization(name='norm', trainable=False, momentum=0.5)
    model = keras.Model(inputs, pooled(conv('b')(norm(first(inputs), training=False))), name='tiny')
    smaller = remove_channels(model, {'b': [1]})
    assert smaller.name == 'tiny' and smaller.get_layer('norm').momentum == 0.5
    assert not smaller.get_layer('norm').trainable
    assert smaller.get_layer('a').dtype_policy.name == 'mixed_bfloat16'
    assert smaller.get_layer('a').kernel.dtype == 'float32'
    assert len(smaller.losses) == 1
    assert smaller.get_layer('norm').inbound_nodes[0].call_kwargs == {'training': False}


def test_constant_initializers_of_the_old_size_are_no_obstacle(removed, tmp_path):
    inputs = image()
    start = keras.initializers.Constant(np.arange(4.0))
    x = layers.BatchNormalization(beta_initializer=start)(conv('a', bias_initializer=start)(inputs))
    smaller = removed(keras.Model(inputs, pooled(x)), {'logits': [1, 2]})
    smaller.save(tmp_path / 'model.keras')
    assert channels_of(keras.models.load_model(tmp_path / 'model.keras'), 'a') == 2


def test_a_part_of_a_larger_model_is_a_model_of_its_own(removed):
    inputs = image()
    x = conv('b')(conv('a')(inputs))
    whole = keras.Model(inputs, pooled(conv('c')(x)))
    part = keras.Model(inputs, [inputs, x])
    assert channels_of(removed(part, {'b': [0]}), 'a') == 1
    assert channels_of(removed(whole, {'c': [0, 1]}), 'b') == 2


def test_sequences_masks_and_scalars(removed):
    inputs = [keras.Input((5,)), keras.Input(())]
    words = layers.Lambda(lambda x: keras.backend.cast(keras.backend.abs(x), 'int32'))(inputs[0])
    x = layers.Conv1D(6, 2, padding='causal', name='a')(layers.Embedding(9, 6, mask_zero=True)(words))
    x = layers.GRU(4)(layers.Conv1D(4, 1, name='b')(x))
    double = layers.Lambda(lambda x: x * 2.0)(inputs[1])
    smaller = removed(keras.Model(inputs, [layers.Dense(2, name='c')(x), double]), {'b': [0, 5], 'c': [1]})
    assert channels_of(smaller, 'a') == 2


def test_the_result_trains_saves_and_loads(removed, same_outputs, tmp_path):
    smaller = removed(pre_activation_net(), {'a1': [0, 2], 'b1': [1]})
    smaller.compile('sgd', 'mse')
    smaller.fit(np.ones((4, 6, 6, 3)), np.ones((4, 3)), verbose=0)
    smaller.save(tmp_path / 'model.keras')
    same_outputs(keras.models.load_model(tmp_path / 'model.keras'), smaller)


def test_training_mode_agrees_for_one_step(removed):
    model = pre_activation_net()
    kept = {'a1': [0, 2], 'b1': [1], 'logits': [0, 1]}
    smaller, reference = removed(model, kept), drop_inputs(model, kept)
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 3)).astype('float32')
    np.testing.assert_allclose(smaller(x, training=True), reference(x, training=True), rtol=1e-4, atol=1e-4)


def test_sequential_models_are_accepted(removed):
    model = keras.Sequential([keras.Input((6, 6, 3)), conv('a'), layers.Flatten(), layers.Dense(2, name='b')])
    assert channels_of(removed(model, {'b': [0, 1]}), 'a') == 2


def test_a_model_without_a_graph_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UsageError, match=r"model 'own' is a Own, not a functional Keras model"):
        remove_channels(Own(name='own'), {})


def test_drop_inputs_zeroes_just_the_rows_of_unread_channels(randomize):
    inputs = image(size=2)
    model = randomize(keras.Model(inputs, layers.Dense(2, name='logits')(layers.Flatten()(inputs))))
    kernel = drop_inputs(model, {'logits': [0, 2]}).get_layer('logits').kernel.numpy()
    expected = model.get_layer('logits').kernel.numpy()
    expected[[1, 4, 7, 10]] = 0
    np.testing.assert_array_equal(kernel, expected)

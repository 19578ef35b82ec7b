"""Dead-code elimination for networks: removes unread channels from any functional graph."""

from pocketflow.utils.channels.counts import ChannelCounts, channel_counts
from pocketflow.utils.channels.identities import ChannelGraph, trace
from pocketflow.utils.channels.readers import ReaderChannels, reader_channels
from pocketflow.utils.channels.rewrite import drop_inputs, input_masks, remove_channels
from pocketflow.utils.graph.channel_select import ChannelSelect

__all__ = [
    'ChannelCounts',
    'ChannelGraph',
    'ChannelSelect',
    'ReaderChannels',
    'channel_counts',
    'drop_inputs',
    'input_masks',
    'reader_channels',
    'remove_channels',
    'trace',
]

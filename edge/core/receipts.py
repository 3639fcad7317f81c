"""What a receipt of the hub means for the journal."""

from edge.core.actions import Action, BeginEpoch, Clear, Delivered, Raise, Rejected, Renumber
from protocol.delivery import Receipt

SEQ_TAKEN = "seq_taken"


def consequences(receipt: Receipt) -> list[Action]:
    """Return what to do about a receipt that says nothing but what its batch carried.

    Of the events whose places are taken only these move to another stream: one sent after them may be on record already
    at its place, and would be there twice.
    """
    epoch = receipt.epoch
    actions: list[Action] = [Clear("hub_busy")]
    if settled := (*receipt.accepted, *receipt.duplicate):
        actions.append(Delivered(epoch, settled))
    if buried := tuple(one for one in receipt.rejected if one.code != SEQ_TAKEN):
        actions.append(Rejected(epoch, buried))
    if taken := tuple(one.seq for one in receipt.rejected if one.code == SEQ_TAKEN):
        text = "another record stands where this unit's should; was a card copied or an old copy put back?"
        actions += [Raise("old_copy", text), BeginEpoch(epoch), Renumber(epoch, taken)]
    return actions

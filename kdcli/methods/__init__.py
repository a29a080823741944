"""Methods: how one imitation is scored. One file each; the file name is the recipe key."""

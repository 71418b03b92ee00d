"""Other tools' formats: exports of a lock, and imports to one."""

from hermetic.lock.formats.dispatch import FORMATS, ONE_PLATFORM, Format, export_lock, import_lock

__all__ = ["FORMATS", "ONE_PLATFORM", "Format", "export_lock", "import_lock"]

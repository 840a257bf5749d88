"""Source groups of models: which fields hold sources, and the signal that one of them was saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from django.apps import apps
from django.db.models.signals import post_init, post_save, pre_save

from .._engine.current import current
from .._engine.sources import source_of
from ..cachefiles import LazyImageCacheFile
from ..signals import source_saved
from ..utils import get_nonabstract_descendants


def ik_model_receiver(method: Callable[..., None]) -> Callable[..., None]:
    """Have a router's method called only for models with sources, and once per signal."""

    @wraps(method)
    def receive(router: Any, sender: Any, **kwargs: Any) -> None:
        if isinstance(sender, type) and router.get_source_fields(sender):
            method(router, sender=sender, **kwargs)

    return receive


class ModelSignalRouter:
    """Watches the models that have sources, and tells their source groups which of these were saved.

    Django sends no signals for abstract models, so this listens to all models and ignores those without sources.
    """

    def __init__(self) -> None:
        self._source_groups: list[ImageFieldSourceGroup] = []
        self._fields: dict[type, tuple[str, ...]] = {}
        post_init.connect(self.post_init_receiver, dispatch_uid="jinja_imagekit.django")
        pre_save.connect(self.pre_save_receiver, dispatch_uid="jinja_imagekit.django")
        post_save.connect(self.post_save_receiver, dispatch_uid="jinja_imagekit.django")

    def add(self, source_group: ImageFieldSourceGroup) -> None:
        """Watch the field of a source group."""
        self._source_groups.append(source_group)
        self._fields.clear()

    def get_source_fields(self, model: Any) -> tuple[str, ...]:
        """Return the names of the fields that hold sources, of a model or of an instance."""
        if not isinstance(model, type):
            model = type(model)
        if model in self._fields:
            return self._fields[model]
        names = tuple(dict.fromkeys(group.own_field for group in self._source_groups if group.watches(model)))
        # Before all models are there, relations may lead nowhere yet.
        if apps.models_ready:
            self._fields[model] = names
        return names

    @ik_model_receiver
    def post_init_receiver(self, sender: Any, instance: Any, **_: Any) -> None:
        """Remember the names of an instance's sources, without touching its fields or the database."""
        memory = self.init_instance(instance)
        memory["source_names"] = {field: _name(instance, field) for field in self.get_source_fields(sender)}

    @ik_model_receiver
    def pre_save_receiver(self, sender: Any, instance: Any, **_: Any) -> None:
        """Remember which sources are new, whatever their names."""
        memory = self.init_instance(instance)
        memory["new_sources"] = {field for field in self.get_source_fields(sender) if _is_new(instance, field)}

    @ik_model_receiver
    def post_save_receiver(
        self, sender: Any, instance: Any, created: bool = False, update_fields: Any = None, raw: bool = False, **_: Any
    ) -> None:
        """Send `source_saved` for each source that is new or has changed."""
        if raw:
            return
        memory = self.init_instance(instance)
        before, new = memory.get("source_names", {}), memory.pop("new_sources", set())
        for field in self.get_source_fields(sender):
            if update_fields is not None and field not in update_fields:
                continue
            old, name = before.get(field), _name(instance, field)
            memory.setdefault("source_names", {})[field] = name
            # A field that was not loaded with the instance is loaded when it is read, which is not a change.
            is_other = created or field in new or (old is not None and name != old)
            # One that is named on purpose was set.
            is_other = is_other or (old is None and update_fields is not None)
            # A storage may have saved another file under the same name, which is then another string object.
            if not is_other and name and old is not None and name is not old:
                is_other = current.get().has_changed(getattr(instance, field))
            if name and is_other:
                self.dispatch_signal(source_saved, getattr(instance, field), sender, instance, field)

    def dispatch_signal(self, signal: Any, file: Any, model_class: type, instance: Any, attname: str) -> None:
        """Send a signal from each source group of a field."""
        for group in self._source_groups:
            if group.own_field == attname and group.watches(model_class):
                signal.send(sender=group, source=file)

    @staticmethod
    def init_instance(instance: Any) -> dict[str, Any]:
        """Return what is remembered about an instance."""
        memory: dict[str, Any] = instance.__dict__.setdefault("_ik", {})
        return memory

    def update_source_hashes(self, instance: Any) -> dict[str, int]:
        """Return hashes of the fields that hold sources, and remember them; for routers that inherit from this one."""
        hashes = {field: hash(getattr(instance, field)) for field in self.get_source_fields(instance)}
        self.init_instance(instance)["source_hashes"] = hashes
        return hashes


def _name(instance: Any, field: str) -> str | None:
    """Return the name of a field's file, "" for an empty field; None for one that is not loaded."""
    # The attribute itself would load it.
    if field not in instance.__dict__:
        return None
    value = instance.__dict__[field]
    return str(getattr(value, "name", value) or "")


def _is_new(instance: Any, field: str) -> bool:
    value = instance.__dict__.get(field)
    return bool(value) and not isinstance(value, str) and not getattr(value, "_committed", False)


class ImageFieldSourceGroup:
    """The files of one field of all instances of a model and of its subclasses, or of instances related to those.

    Args:
        model_class: The model; it may be abstract.
        image_field: The name of the field, with dots where it is a related instance's: `"album.photo"`.
    """

    def __init__(self, model_class: Any, image_field: str) -> None:
        self.model_class = model_class
        self.image_field = image_field
        signal_router.add(self)

    @property
    def own_field(self) -> str:
        """The name of the field on the model that has it."""
        return self.image_field.rpartition(".")[2]

    def watches(self, model: type) -> bool:
        """Tell whether instances of a model have the files, whose saving is to be told."""
        owner = self.model_class
        for name in self.image_field.split(".")[:-1]:
            owner = owner._meta.get_field(name).related_model
            if not isinstance(owner, type):
                return False
        return issubclass(model, owner)

    def files(self) -> Iterator[Any]:
        """Yield the files of all instances; fields without one are passed over, and what several share comes once."""
        *relations, _ = self.image_field.split(".")
        seen: set[str] = set()
        for model in get_nonabstract_descendants(self.model_class):
            instances = model._default_manager.all()
            if relations:
                instances = instances.select_related("__".join(relations))
            for instance in instances.iterator():
                file = source_of(instance, self.image_field)
                if file and not (relations and file.name in seen):
                    seen.add(file.name)
                    yield file

    def __repr__(self) -> str:
        return f"<ImageFieldSourceGroup {self.model_class.__name__}.{self.image_field}>"


class SourceGroupFilesGenerator:
    """A callable that yields the cache files of a source group, for `register.cachefiles`.

    Args:
        source_group: The source group.
        generator_id: The id of the generator.
    """

    def __init__(self, source_group: Any, generator_id: str) -> None:
        self.source_group = source_group
        self.generator_id = generator_id

    def __call__(self) -> Iterator[LazyImageCacheFile]:
        for source in self.source_group.files():
            yield LazyImageCacheFile(self.generator_id, source=source)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SourceGroupFilesGenerator) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.source_group, self.generator_id))


signal_router = ModelSignalRouter()

"""Photographers and photos."""

import django.db.models.deletion
from django.db import migrations, models

import jinja_imagekit.django.models.fields


class Migration(migrations.Migration):
    """The gallery's tables; of a processed field, only what concerns the database is here."""

    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Photographer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80)),
                (
                    "portrait",
                    jinja_imagekit.django.models.fields.ProcessedImageField(blank=True, upload_to="portraits"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Photo",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=80)),
                ("image", models.ImageField(upload_to="photos/%Y")),
                (
                    "anchor",
                    models.CharField(
                        choices=[("t", "top"), ("c", "middle"), ("b", "bottom")],
                        default="c",
                        max_length=1,
                        verbose_name="cut at the",
                    ),
                ),
                (
                    "photographer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="photos", to="gallery.photographer"
                    ),
                ),
            ],
        ),
    ]

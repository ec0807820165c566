"""What a caller may say of a file."""

from django import forms

from apps.attachments.models import Attachment


class AttachmentForm(forms.ModelForm):
    class Meta:
        model = Attachment
        fields = ["name", "content_type"]

    def clean_name(self):
        """Return the name without the folders before it, on whatever system it was given."""
        name = self.cleaned_data["name"].replace("\\", "/").rpartition("/")[2]
        if name in {"", ".", ".."} or not name.isprintable():
            raise forms.ValidationError("This is no name of a file.", code="invalid")
        return name

"""What a caller may say of a file."""

from django import forms

from apps.attachments.models import Attachment


class AttachmentForm(forms.ModelForm):
    class Meta:
        model = Attachment
        fields = ["name", "content_type"]

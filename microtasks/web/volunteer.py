from flask import Blueprint

blueprint = Blueprint("volunteer", __name__)

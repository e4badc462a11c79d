
import sys
class Hider:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in ('opentelemetry.sdk', 'httptools', 'prisma'):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hider)

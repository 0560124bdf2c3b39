"""What is published about the two-dimensional sets of MedMNIST: facts only, a row a set.

Yang, Shi, Wei, Liu, Zhao, Ke, Pfister, Ni: MedMNIST v2 - A large-scale lightweight benchmark for 2D and 3D biomedical
image classification. Scientific Data 10, 41 (2023). The files: https://doi.org/10.5281/zenodo.10519652
"""

from dataclasses import dataclass

SIZES = (28, 64, 128, 224)
# Two addresses of one record: the page's, and that of the record's interface for programs.
ADDRESSES = ("https://zenodo.org/records/10519652/files/{file}", "https://zenodo.org/api/records/10519652/files/{file}/content")
MEDMNIST_V2 = "MedMNIST v2: Yang and others, Scientific Data 10, 41 (2023), doi:10.1038/s41597-022-01721-8"
LITS = "LiTS: Bilic and others, Medical Image Analysis 84, 102680 (2023), doi:10.1016/j.media.2022.102680"
SCANS = "OrganAMNIST, OrganCMNIST and OrganSMNIST are three views of the same CT scans: together they count as one set."
ORGANS = "bladder; left femur; right femur; heart; left kidney; right kidney; liver; left lung; right lung; pancreas; spleen"


@dataclass(frozen=True)
class Facts:
    """What is published about one set.

    name: as `tsynd.load` takes it. title: as papers write it. shows: what is seen, and by what. task, classes, channels: as in
    `Dataset`. counts: images in train, val and test. licence and citation: of the images' source. md5: of the file, by
    image size in pixels. note: what can spoil a result; empty if nothing is known. megabytes: of the file of 28 px, where we
    have seen it.
    """

    name: str
    title: str
    shows: str
    task: str
    classes: tuple[str, ...]
    channels: int
    counts: tuple[int, int, int]
    licence: str
    citation: str
    md5: dict[int, str]
    note: str = ""
    megabytes: float | None = None

    def file(self, size: int) -> str:
        """The published file's name: `breastmnist.npz` at 28 px, `breastmnist_64.npz` at 64."""
        return f"{self.name}.npz" if size == 28 else f"{self.name}_{size}.npz"

    def bytes(self, size: int) -> int:
        """How large the images are in memory; the file, which is compressed, is smaller."""
        return sum(self.counts) * self.channels * size**2


def _listed(names: str) -> tuple[str, ...]:
    return tuple(names.split("; "))


def _by_size(md5s: str) -> dict[int, str]:
    return dict(zip(SIZES, md5s.split(), strict=True))


REGISTRY = {
    facts.name: facts
    for facts in (
        Facts(
            name="pathmnist",
            title="PathMNIST",
            shows="colon tissue, stained, under the microscope",
            task="multi-class",
            classes=_listed(
                "adipose; background; debris; lymphocytes; mucus; smooth muscle; normal colon mucosa; "
                "cancer-associated stroma; colorectal adenocarcinoma epithelium"
            ),
            channels=3,
            counts=(89996, 10004, 7180),
            licence="CC BY 4.0",
            citation="Kather and others, PLOS Medicine 16, e1002730 (2019), doi:10.1371/journal.pmed.1002730",
            md5=_by_size(
                "a8b06965200029087d5bd730944a56c1 55aa9c1e0525abe5a6b9d8343a507616 "
                "ac42d08fb904d92c244187169d1fd1d9 2c51a510bcdc9cf8ddb2af93af1eadec"
            ),
        ),
        Facts(
            name="chestmnist",
            title="ChestMNIST",
            shows="chest X-ray",
            task="multi-label",
            classes=_listed(
                "atelectasis; cardiomegaly; effusion; infiltration; mass; nodule; pneumonia; pneumothorax; "
                "consolidation; edema; emphysema; fibrosis; pleural thickening; hernia"
            ),
            channels=1,
            counts=(78468, 11219, 22433),
            licence="CC BY 4.0",
            citation="Wang and others, CVPR 2017, 3462-3471, doi:10.1109/CVPR.2017.369",
            note="Labels were mined from reports by text analysis; an image can have several of them, or none.",
            md5=_by_size(
                "02c8a6516a18b556561a56cbdd36c4a8 9de6cd0b934ebb5b7426cfba5efbae16 "
                "db107e5590b27930b62dbaf558aebee3 45bd33e6f06c3e8cdb481c74a89152aa"
            ),
        ),
        Facts(
            name="dermamnist",
            title="DermaMNIST",
            shows="skin lesions, dermatoscope",
            task="multi-class",
            classes=_listed(
                "actinic keratoses and intraepithelial carcinoma; basal cell carcinoma; benign keratosis-like lesions; "
                "dermatofibroma; melanoma; melanocytic nevi; vascular lesions"
            ),
            channels=3,
            counts=(7007, 1003, 2005),
            licence="CC BY-NC 4.0",
            citation="Tschandl, Rosendahl, Kittler, Scientific Data 5, 180161 (2018), doi:10.1038/sdata.2018.161",
            note="Images of one lesion lie in several splits (Abhishek and others, arXiv 2401.14497). Not for commercial use.",
            md5=_by_size(
                "0744692d530f8e62ec473284d019b0c7 b70a2f5635c6199aeaa28c31d7202e1f "
                "2defd784463fa5243564e855ed717de1 8974907d8e169bef5f5b96bc506ae45d"
            ),
        ),
        Facts(
            name="octmnist",
            title="OCTMNIST",
            shows="retina, optical coherence tomography",
            task="multi-class",
            classes=_listed("choroidal neovascularization; diabetic macular edema; drusen; normal"),
            channels=1,
            counts=(97477, 10832, 1000),
            licence="CC BY 4.0",
            citation="Kermany and others, Cell 172, 1122-1131 (2018), doi:10.1016/j.cell.2018.02.010",
            md5=_by_size(
                "c68d92d5b585d8d81f7112f81e2d0842 e229e9440236b774d9f0dfef9d07bdaf "
                "0a97e76651ace45c5d943ee3f65b63ae abc493b6d529d5de7569faaef2773ba3"
            ),
        ),
        Facts(
            name="pneumoniamnist",
            title="PneumoniaMNIST",
            shows="chest X-ray of children",
            task="binary",
            classes=_listed("normal; pneumonia"),
            channels=1,
            counts=(4708, 524, 624),
            licence="CC BY 4.0",
            citation="Kermany and others, Cell 172, 1122-1131 (2018), doi:10.1016/j.cell.2018.02.010",
            note="8 images are in both train and val; person numbers of the source recur in train and test.",
            md5=_by_size(
                "28209eda62fecd6e6a2d98b1501bb15f 8f4eceb4ccffa70c672198ea285246c6 "
                "05b46931834c231683c68f40c47b2971 d6a3c71de1b945ea11211b03746c1fe1"
            ),
            megabytes=4.2,
        ),
        Facts(
            name="retinamnist",
            title="RetinaMNIST",
            shows="eye fundus, camera",
            task="ordinal",
            classes=_listed("0; 1; 2; 3; 4"),
            channels=3,
            counts=(1080, 120, 400),
            licence="CC BY 4.0",
            citation="DeepDRiD: Liu and others, Patterns 3, 100512 (2022), doi:10.1016/j.patter.2022.100512",
            md5=_by_size(
                "bd4c0672f1bba3e3a89f0e4e876791e4 afda852cc34dcda56f86ad2b2457dbcc "
                "e48e916a24454daf90583d4e6efb1a18 eae7e3b6f3fcbda4ae613ebdcbe35348"
            ),
            megabytes=3.3,
        ),
        Facts(
            name="breastmnist",
            title="BreastMNIST",
            shows="breast ultrasound",
            task="binary",
            classes=_listed("malignant; normal, benign"),
            channels=1,
            counts=(546, 78, 156),
            licence="CC BY 4.0",
            citation="Al-Dhabyani and others, Data in Brief 28, 104863 (2020), doi:10.1016/j.dib.2019.104863",
            note="1 image is in both train and test.",
            md5=_by_size(
                "750601b1f35ba3300ea97c75c52ff8f6 742edef2a1fd1524b2efff4bd7ba9364 "
                "363e4b3f8d712e9b5de15470a2aaadf1 b56378a6eefa9fed602bb16d192d4c8b"
            ),
            megabytes=0.6,
        ),
        Facts(
            name="bloodmnist",
            title="BloodMNIST",
            shows="single blood cells under the microscope",
            task="multi-class",
            classes=_listed(
                "basophil; eosinophil; erythroblast; "
                "immature granulocytes (myelocytes, metamyelocytes, promyelocytes); lymphocyte; monocyte; neutrophil; "
                "platelet"
            ),
            channels=3,
            counts=(11959, 1712, 3421),
            licence="CC BY 4.0",
            citation="Acevedo and others, Data in Brief 30, 105474 (2020), doi:10.1016/j.dib.2020.105474",
            md5=_by_size(
                "7053d0359d879ad8a5505303e11de1dc 2b94928a2ae4916078ca51e05b6b800b "
                "adace1e0ed228fccda1f39692059dd4c b718ff6835fcbdb22ba9eacccd7b2601"
            ),
        ),
        Facts(
            name="tissuemnist",
            title="TissueMNIST",
            shows="kidney cortex cells under the microscope",
            task="multi-class",
            classes=_listed(
                "collecting duct, connecting tubule; distal convoluted tubule; glomerular endothelial cells; "
                "interstitial endothelial cells; leukocytes; podocytes; proximal tubule segments; "
                "thick ascending limb"
            ),
            channels=1,
            counts=(165466, 23640, 47280),
            licence="CC BY 4.0",
            citation="BBBC051: Ljosa, Sokolnicki, Carpenter, Nature Methods 9, 637 (2012), doi:10.1038/nmeth.2083",
            md5=_by_size(
                "ebe78ee8b05294063de985d821c1c34b 123ece2eba09d0aa5d698fda57103344 "
                "61b955355d7425a89687b06cca3ce0c2 b077128c4a949f0a4eb01517f9037b9c"
            ),
        ),
        Facts(
            name="organamnist",
            title="OrganAMNIST",
            shows="abdominal CT, axial slices",
            task="multi-class",
            classes=_listed(ORGANS),
            channels=1,
            counts=(34561, 6491, 17778),
            licence="CC BY 4.0",
            citation=LITS,
            note=SCANS,
            md5=_by_size(
                "68e3f8846a6bd62f0c9bf841c0d9eacc 2dcccc29b88e6da5a01161ef20cda288 "
                "eeae80d0a227a8d099027e1b3cfd3b60 50747347e05c87dd3aaf92c49f9f3170"
            ),
        ),
        Facts(
            name="organcmnist",
            title="OrganCMNIST",
            shows="abdominal CT, coronal slices",
            task="multi-class",
            classes=_listed(ORGANS),
            channels=1,
            counts=(12975, 2392, 8216),
            licence="CC BY 4.0",
            citation=LITS,
            note=SCANS,
            md5=_by_size(
                "b9ceb9546e10131b32923c5bbeaea2b1 3ce34a8724ea6f548e6db4744d03b6a9 "
                "773c1f009daa3fe5d9a2a201b2a7ed94 050f5e875dc056f6768abf94ec9995d1"
            ),
        ),
        Facts(
            name="organsmnist",
            title="OrganSMNIST",
            shows="abdominal CT, sagittal slices",
            task="multi-class",
            classes=_listed(ORGANS),
            channels=1,
            counts=(13932, 2452, 8827),
            licence="CC BY 4.0",
            citation=LITS,
            note=SCANS,
            md5=_by_size(
                "9ab87b696fb54e2a387ebe992d6ed5f1 53a6d115339d874c25e309a994ff46d3 "
                "ded0c5fa01a95dc4978b956f613e9b8e b354719e553fbbb2513d5533f52a4cb1"
            ),
        ),
    )
}

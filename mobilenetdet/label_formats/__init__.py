"""Labels of other formats as KITTI folders, and KITTI's labels and results in other formats.

Each format is a module on top of json, xml.etree, yaml or the records. Of the libraries that read
many formats, datumaro 1.13 and supervision 0.31 were tried on one COCO file, Python 3.11: datumaro
rounds boxes to two decimals (YOLO: shares to six), writes names of two words and scores into KITTI
label lines, and no VOC at all where a box is a crowd; 4 s to import, 50 MB of pyarrow, and it holds
opencv below 5, numpy below 2.5, pandas at 2. supervision rounds boxes to float32 (VOC: to pixels,
YOLO: shares to five digits) and drops attributes and scores; 8 s to import, 34 MB of PyAV.
"""
